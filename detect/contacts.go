package detect

const (
	contactLife = 24 * 3600 // seconds for which our own word to an address protects it
	stateLife   = 10 * 60   // seconds for which a state is taken to live on after PF was last asked
	contactWays = 4
)

// contact is one address that our side spoke to: 12 bytes.
type contact struct {
	low   uint32 // of the hash
	high  uint16
	since uint16 // seconds from when PF last held a state that our side opened until spoke; noState = none, or long ago
	spoke uint32 // seconds; 0 = never
}

const noState = 1<<16 - 1

func (c *contact) hash() uint64 { return uint64(c.high)<<32 | uint64(c.low) }

// state is when PF last held a state that our side opened; 0 = never.
func (c *contact) state() uint32 {
	if c.since == noState {
		return 0
	}
	return c.spoke - uint32(c.since)
}

// set notes the newest times.
func (c *contact) set(spoke, state uint32) {
	c.spoke, c.since = spoke, noState
	if state != 0 {
		c.since = uint16(min(spoke-state, noState))
	}
}

// contacts is a fixed table; where it is full the contact that is longest ago goes.
type contacts struct {
	entry   []contact
	mask    uint64
	evicted uint64
}

func newContacts(n int) contacts {
	n = max(ceilPower(n), contactWays)
	return contacts{entry: make([]contact, n), mask: uint64(n/contactWays - 1)}
}

func (c *contacts) find(h uint64) *contact {
	i := (h & c.mask) * contactWays
	for n := range uint64(contactWays) {
		if e := &c.entry[i+n]; e.low == uint32(h) && e.high == uint16(h>>32) && e.spoke != 0 {
			return e
		}
	}
	return nil
}

func (c *contacts) note(h uint64, now uint32, state bool) {
	e := c.find(h)
	if e == nil {
		i := (h & c.mask) * contactWays
		e = &c.entry[i]
		for n := range uint64(contactWays) {
			if x := &c.entry[i+n]; x.spoke < e.spoke {
				e = x
			}
		}
		if e.spoke != 0 && now < e.spoke+contactLife {
			c.evicted++
		}
		*e = contact{low: uint32(h), high: uint16(h >> 32), since: noState}
	}
	held := e.state()
	if state {
		held = max(held, now, 1)
	}
	e.set(max(e.spoke, now, 1), held)
}

// asked says whether our side holds a state to, or spoke to, the hashed address.
func (c *contacts) asked(h uint64, now uint32) (state, spoke bool) {
	e := c.find(h)
	if e == nil {
		return false, false
	}
	held := e.state()
	return held != 0 && uint64(now) <= uint64(held)+stateLife, uint64(now) <= uint64(e.spoke)+contactLife
}
