package daemon

import (
	"context"
	"net/netip"
	"time"

	"pfwarden/detect"
	"pfwarden/pfctl"
)

// statesEvery is how often PF's states are read at most. The detector's gate for what our side opened holds for ten minutes.
const statesEvery = 3 * time.Minute

// statesMost is the size of a state table beyond which it is not read: the dump costs PF time for each state.
const statesMost = 50_000

// readStates tells the detector now and then with whom our side has connections and who proved an address by a handshake.
func (d *Daemon) readStates(ctx context.Context) {
	every := d.o.States
	if every <= 0 {
		every = statesEvery
	}
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began := time.Now()
		notices := newStateNotices(ownAddresses())
		count, err := d.driver.States(ctx, statesMost, notices.take)
		switch {
		case err != nil:
			d.log.Debug("reading pf's states", "error", err)
		case count > statesMost:
			d.log.Debug("pf has too many states to read them", "states", count, "most", statesMost)
		case len(notices.list) > 0:
			err := d.ask(ctx, func(now time.Time) {
				for i := range notices.list {
					notices.list[i].Time = now
				}
				d.engine.Notices(notices.list)
			})
			if err != nil {
				return
			}
		}
		wait = max(every, 100*time.Since(began)) // a hundredth of the time at most
	}
}

// stateNotices turns states into notices, one of a kind for each source and target.
type stateNotices struct {
	own  map[netip.Addr]bool
	seen map[detect.Notice]bool
	list []detect.Notice
}

func newStateNotices(own []netip.Addr) *stateNotices {
	n := &stateNotices{own: make(map[netip.Addr]bool), seen: make(map[detect.Notice]bool)}
	for _, a := range own {
		n.own[a.Unmap().WithZone("")] = true
	}
	return n
}

// inside tells whether an address is this machine's or of a network behind it.
func (n *stateNotices) inside(a netip.Addr) bool {
	return n.own[a] || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || !a.IsGlobalUnicast()
}

// take looks at one state. What goes out, or comes in from inside, our side opened. A connection through us has two states, one that came in
// and one that goes out; of one opened from outside the second names our server as the peer, which is nobody we judge.
func (n *stateNotices) take(s pfctl.State) {
	opener, peer := s.Opener.Addr(), s.Peer.Addr()
	switch {
	case (s.Out || n.inside(opener)) && !n.inside(peer):
		n.add(detect.Notice{Kind: detect.State, Source: netip.PrefixFrom(peer, peer.BitLen()), Ours: true})
	case s.Established && !s.Out && !n.inside(opener):
		n.add(detect.Notice{
			Kind: detect.State, Source: netip.PrefixFrom(opener, opener.BitLen()), Established: true,
			Target: detect.Target{Address: peer, Protocol: 6, Port: s.Peer.Port()},
		})
	}
}

func (n *stateNotices) add(x detect.Notice) {
	if !n.seen[x] {
		n.seen[x] = true
		n.list = append(n.list, x)
	}
}
