package hooks

import (
	"context"
	"slices"

	"pfwarden/internal/ledger"
)

// addressOf names what a ban is on.
func addressOf(b *ledger.Ban) string {
	if b.Ident != "" {
		return b.Ident
	}
	if b.Prefix.IsSingleIP() {
		return b.Prefix.Addr().String()
	}
	return b.Prefix.String()
}

// put adds a job to its lane. A ban that ends before its command was run is taken out together with its end,
// unless the address may be banned already: by a run before this one, or before a repair.
func (h *Hooks) put(a *action, address string, j job) {
	key := laneKey{a.name, address}
	l := h.lanes[key]
	if l == nil || l.action != a {
		l = &lane{key: key, action: a}
		h.lanes[key] = l
		if address == "" {
			a.lane = l
		}
	}
	if j.verb == "unban" && !l.busy {
		for i := len(l.jobs) - 1; i >= 0; i-- {
			if l.jobs[i].verb == "ban" && !l.jobs[i].ban.restored && !l.jobs[i].ban.again {
				n := len(l.jobs) - i
				h.waiting -= n
				a.waiting -= n
				clear(l.jobs[i:])
				if l.jobs = l.jobs[:i]; i == 0 {
					delete(h.lanes, key)
				}
				h.stats.Spared++
				h.wake.Broadcast()
				return
			}
		}
	}
	if h.waiting >= h.room(&j) && address != "" {
		h.stats.Dropped++
		if !h.full {
			h.full = true
			h.o.Log.Error("the queue of actions is full: commands are left out until there is room", "waiting", h.waiting, "jail", a.name.jail, "action", a.name.action)
		}
		return
	}
	if j.ban != nil && j.ban.again { // before what was decided since
		l.jobs = slices.Insert(l.jobs, 0, j)
	} else {
		l.jobs = append(l.jobs, j)
	}
	h.waiting++
	a.waiting++
	if !l.busy && len(l.jobs) == 1 {
		h.ready = append(h.ready, l)
	}
	h.wake.Broadcast()
}

// room is how many jobs may wait for one more to be taken. A ban that is not carried out costs little, its end that is not carried out
// leaves an address banned for ever: so for the ends of bans there is more room than there can be bans waiting.
func (h *Hooks) room(j *job) int {
	if j.verb == "unban" || j.verb == "ban" && j.ban.again {
		return 20 * h.o.Queue
	}
	return h.o.Queue
}

// next finds a lane whose first job may be run now.
func (h *Hooks) next() *lane {
	kept := h.ready[:0]
	var found *lane
	for i, l := range h.ready {
		if len(l.jobs) == 0 || l.busy { // its jobs were spared
			continue
		}
		if found == nil && h.may(l) {
			found = l
			kept = append(kept, h.ready[i+1:]...)
			break
		}
		kept = append(kept, l)
	}
	clear(h.ready[len(kept):])
	h.ready = kept
	return found
}

// may tells whether a lane's first job can run beside those under way: the start, flush and stop of an action run alone, a stop after
// everything else, the rest after the start.
func (h *Hooks) may(l *lane) bool {
	a := l.action
	if a.before != nil && !a.before.ended {
		return false
	}
	a.before = nil
	if h.running[a.exclude] >= a.most(h.o.PerAction) {
		return false
	}
	switch l.jobs[0].verb {
	case "start", "reload":
		return a.running == 0
	case "flush", "stop":
		return a.running == 0 && a.lane != nil && a.waiting == len(a.lane.jobs)
	}
	return a.begun()
}

func (h *Hooks) work(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if h.closed {
			return
		}
		l := h.next()
		if l == nil {
			h.wake.Wait()
			continue
		}
		j := l.jobs[0]
		l.jobs[0] = job{}
		l.jobs, l.busy = l.jobs[1:], true
		a := l.action
		h.waiting--
		h.busy++
		a.waiting--
		a.running++
		h.running[a.exclude]++
		alone := a.running == 1 && (j.verb == "start" || j.verb == "reload" || j.verb == "flush" || j.verb == "stop")
		a.alone = alone
		h.mu.Unlock()
		err := a.do(ctx, j)
		h.mu.Lock()
		a.alone = false
		a.running--
		if h.running[a.exclude]--; h.running[a.exclude] == 0 {
			delete(h.running, a.exclude)
		}
		h.busy--
		l.busy = false
		a.startTried = a.startTried || j.verb == "start" || j.verb == "reload"
		a.toSweep = a.toSweep && j.verb != "start"
		a.ended = a.ended || j.verb == "stop"
		h.stats.Done[j.verb]++
		if err != nil {
			h.stats.Failed[j.verb]++
		}
		if h.full = h.full && h.waiting > h.o.Queue/2; len(l.jobs) > 0 {
			h.ready = append(h.ready, l)
		} else if h.lanes[l.key] == l {
			delete(h.lanes, l.key)
		}
		h.wake.Broadcast()
	}
}
