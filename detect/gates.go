package detect

import (
	"fmt"
	"net/netip"
)

// overlapper is what a never-list may offer beside Contains.
type overlapper interface {
	OverlapsPrefix(netip.Prefix) bool
}

// ask puts the question to the gates without making any text. It asks for the time of the evidence and not for the newest time seen: a clock that
// ran ahead for a while must not let what our side did today look old.
func (d *Detector) ask(a netip.Addr, id string, at int64, proven, bypass bool) (stopped bool) {
	if !a.IsValid() {
		return false
	}
	if d.never(a, id) {
		return true
	}
	if bypass {
		return false
	}
	if d.own[a] {
		return true
	}
	if proven {
		return false
	}
	state, spoke := d.contacts.asked(d.hash.key(d.scanKey(a)), seconds(at))
	return state || spoke || Bogon(a)
}

// never asks the never-list, by way of the flight recorder if there is one.
func (d *Detector) never(a netip.Addr, id string) bool {
	listed := d.listed(a, id)
	if d.tap != nil {
		return d.tap(a, listed)
	}
	return listed
}

func (d *Detector) listed(a netip.Addr, id string) bool {
	n := d.config.Never
	if n == nil {
		return false
	}
	if n.Contains(a) {
		return true
	}
	o, ok := n.(overlapper)
	return ok && id == "" && a.Is6() && o.OverlapsPrefix(d.scanKey(a).prefix(d.config.Portscan.Prefix4, d.config.Portscan.Prefix6))
}

// answers asks the gates one after the other until one stops the verdict, and keeps what they said. Proven evidence only has to pass those that
// protect our own side.
func (d *Detector) answers(a netip.Addr, id string, at int64, proven, bypass bool) []GateAnswer {
	if !a.IsValid() {
		return nil
	}
	var answers []GateAnswer
	ask := func(gate string, stopped bool, no, yes string) bool {
		g := GateAnswer{Gate: gate, Stopped: stopped, Text: no}
		if stopped {
			g.Text = yes
		}
		answers = append(answers, g)
		return stopped
	}
	if ask(GateNever, d.never(a, id), "not on the never-list", fmt.Sprintf("%v is on the never-list", a)) || bypass {
		return answers
	}
	if ask(GateOwn, d.own[a], "none of our own addresses", fmt.Sprintf("%v is our own address", a)) || proven {
		return answers
	}
	if ask(GateBogon, Bogon(a), "an ordinary address", fmt.Sprintf("nobody can have %v as a sender's address", a)) {
		return answers
	}
	state, spoke := d.contacts.asked(d.hash.key(d.scanKey(a)), seconds(at))
	if ask(GateState, state, "no connection that our side opened", fmt.Sprintf("our side has a connection with %v", a)) {
		return answers
	}
	ask(GateContact, spoke, "our side did not speak to it in the last 24 hours", fmt.Sprintf("our side spoke to %v in the last 24 hours", a))
	return answers
}

// Bogon says that no packet can honestly come from a: it is unspecified, loopback, link-local, multicast, or of 240.0.0.0/4 (RFC 6890).
// Private and documentation addresses are ordinary ones.
func Bogon(a netip.Addr) bool {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return b[0] == 0 || b[0] == 127 || b[0] >= 224 || b[0] == 169 && b[1] == 254
	}
	return a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast()
}
