package detect

const (
	contactLife = 24 * 3600 // seconds for which our own word to an address protects it
	stateLife   = 10 * 60   // seconds for which a state is taken to live on after PF was last asked
	contactWays = 4
)

// contact is one address that our side spoke to.
type contact struct {
	hash  uint64
	spoke uint32 // seconds; 0 = never
	state uint32 // when PF last held a state that our side opened
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
		if e := &c.entry[i+n]; e.hash == h && e.spoke != 0 {
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
		*e = contact{hash: h}
	}
	e.spoke = max(e.spoke, now, 1)
	if state {
		e.state = max(e.state, now, 1)
	}
}

// asked says whether our side holds a state to, or spoke to, the hashed address.
func (c *contacts) asked(h uint64, now uint32) (state, spoke bool) {
	e := c.find(h)
	if e == nil {
		return false, false
	}
	return e.state != 0 && uint64(now) <= uint64(e.state)+stateLife, uint64(now) <= uint64(e.spoke)+contactLife
}
