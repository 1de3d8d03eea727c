package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const reasonTargets = 6 // targets that a sentence names

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// evidence returns what is kept for one jail's part against a source.
func (d *Detector) evidence(a netip.Addr, id string, jail int) []Evidence {
	if jail < 0 {
		k := d.scanKey(a)
		if tr := d.scan.trails.find(k, d.hash.key(k)); tr != nil {
			return tr.list(d.config.Portscan.Name)
		}
		return nil
	}
	s := d.logs.sources[d.sourceKeyOf(jail, a, id)]
	if s == nil {
		return nil
	}
	if js := s.in(jail); js != nil {
		return slices.Clone(js.evidence)
	}
	return nil
}

// reason tells one jail's part as a person would.
func (d *Detector) reason(a netip.Addr, id string, sh *share, at int64) string {
	if sh.jail < 0 {
		return d.scanReason(a, sh, at)
	}
	j := &d.config.Jails[sh.jail]
	if sh.byNames {
		return d.namesReason(j, sh, d.users(a, id, sh.jail))
	}
	text := fmt.Sprintf("%s: %s of %d within %s", j.Name, plural(sh.failures, "failure"), j.Threshold, span(j.Findtime))
	if took := time.Duration(sh.last - sh.first); took >= time.Second {
		text += ", in " + span(took)
	}
	if users := d.users(a, id, sh.jail); users != "" {
		text += ", as " + users
	}
	text += "; score " + score(sh)
	if sh.guesser > 0 {
		text += fmt.Sprintf(", each weighing %d: it takes part in distributed guessing", sh.guesser)
	}
	if sh.tried > 0 {
		text += fmt.Sprintf("; slow guessing: %.2f", sh.tried)
	}
	if !sh.allProven {
		text += "; the address is not proven"
	}
	return text
}

func score(sh *share) string {
	f := sh.sum
	if sh.own >= nearlyOne {
		f = sh.own
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// users lists the names that were tried, as far as evidence is kept.
func (d *Detector) users(a netip.Addr, id string, jail int) string {
	var names []string
	for _, e := range d.evidence(a, id, jail) {
		if e.User != "" && !slices.Contains(names, e.User) {
			names = append(names, e.User)
		}
	}
	more := len(names) - 4
	for i := range names {
		names[i] = strconv.Quote(names[i])
	}
	if more > 0 {
		return strings.Join(names[:4], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// scanReason: "7 new doors in 3 hours: 203.0.113.5 ports 22, 23, 445; 203.0.113.6 port 80; score 1.05 of …".
func (d *Detector) scanReason(a netip.Addr, sh *share, at int64) string {
	k := d.scanKey(a)
	h := d.hash.key(k)
	x := d.scan.glance(k, h, seconds(at))
	if x == nil {
		return ""
	}
	var b strings.Builder
	tr := d.scan.trails.find(k, h)
	var list []Evidence
	if tr != nil {
		list = tr.list("")
	}
	doors, again := knocked(x, tr, list)
	fmt.Fprintf(&b, "%s: %s", d.config.Portscan.Name, plural(max(doors, 1), "new door"))
	if again > 0 {
		fmt.Fprintf(&b, " and %s on trap ports", plural(again, "later knock"))
	}
	b.WriteString(" in " + span(time.Duration(sh.last-sh.first)))
	if tr != nil {
		b.WriteString(": " + targets(list))
	}
	l := &sh.limit
	count := d.scan.doors(x, seconds(at), l.doors)
	fmt.Fprintf(&b, "; score %s (%.1f of %s doors", score(sh), count, strconv.FormatFloat(l.doors, 'f', -1, 64))
	if sh.own >= nearlyOne && count < l.doors-0.05 {
		b.WriteString(", enough since doors decay")
	}
	if again > 0 {
		b.WriteString(", later knocks, one an hour, count half")
	}
	if off := takenOff(x, tr, list); off > 0 {
		b.WriteString(", " + plural(off, "door") + " taken off: it logged in, or a connection with it stands")
	}
	among := func(kind Kind) bool {
		return slices.ContainsFunc(list, func(e Evidence) bool { return e.Kind == kind })
	}
	if among(Stealth) {
		b.WriteString(", stealth packets count half")
	}
	if among(UnknownFlags) {
		b.WriteString(", packets whose flags were cut off count half")
	}
	if x.caps != 0 {
		b.WriteString(", UDP and echo a quarter")
	}
	if l.company {
		b.WriteString(", halved: " + d.companyText(k))
	}
	if l.mark {
		b.WriteString(", halved: the packets carry a scanner's mark")
	}
	if l.ttl {
		b.WriteString(", doubled: the packets seem to come from several places")
	}
	if l.victim {
		b.WriteString(", doubled: the source looks like the victim of an attack")
	}
	b.WriteString(")")
	return b.String()
}

// knocked tells a source's doors from its later knocks on trap ports, as far as its trail tells them. A log-in's target is among the slot's
// fingerprints, and not in the trail.
func knocked(x *slot, tr *trail, list []Evidence) (doors, again int) {
	if tr == nil {
		return x.knocks(), 0
	}
	all := int(tr.n)
	if x.flags&flagCredit != 0 {
		all++ // the one that it was marked for
	}
	doors = min(x.knocks(), all)
	if different := distinct(list); different < len(list) {
		doors = min(max(different, int(x.n)), all)
	}
	return doors, all - doors
}

func distinct(list []Evidence) int {
	seen := make(map[Target]bool, len(list))
	for i := range list {
		seen[list[i].Target] = true
	}
	return len(seen)
}

// takenOff is how many doors log-ins and connections have taken off a source whose whole trail is kept.
func takenOff(x *slot, tr *trail, list []Evidence) int {
	if tr == nil || int(tr.n) > len(list) || x.flags&flagCredit != 0 {
		return 0
	}
	sum := 0.0
	seen := make(map[Target]bool, len(list))
	for i := range list {
		w := float64(weight(list[i].Kind))
		switch {
		case w <= 0.25: // not in undecayed
		case seen[list[i].Target]:
			sum += 0.5
		default:
			sum += w
		}
		seen[list[i].Target] = true
	}
	return int(sum - x.undecayed())
}

// targets names what was knocked on, by address, in order of appearance.
func targets(list []Evidence) string {
	type group struct {
		addr  netip.Addr
		ports []string
	}
	var groups []group
	named, dropped := 0, 0
	for _, e := range list {
		if named == reasonTargets {
			dropped++
			continue
		}
		port := ""
		switch {
		case e.Kind == UnknownFlags && e.Target.Port == 0:
			port = "cut off"
		case e.Target.Protocol == 17:
			port = strconv.Itoa(int(e.Target.Port)) + "/udp"
		case e.Kind != Sweep:
			port = strconv.Itoa(int(e.Target.Port))
		default:
			port = "echo"
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.addr == e.Target.Address })
		if i < 0 {
			groups = append(groups, group{addr: e.Target.Address})
			i = len(groups) - 1
		}
		if !slices.Contains(groups[i].ports, port) {
			groups[i].ports = append(groups[i].ports, port)
			named++
		}
	}
	var b strings.Builder
	for i, g := range groups {
		if i > 0 {
			b.WriteString("; ")
		}
		if len(g.ports) == 1 && g.ports[0] == "echo" {
			fmt.Fprintf(&b, "%v by echo", g.addr)
			continue
		}
		fmt.Fprintf(&b, "%v port", g.addr)
		if len(g.ports) > 1 {
			b.WriteString("s")
		}
		b.WriteString(" " + strings.Join(g.ports, ", "))
	}
	if dropped > 0 {
		b.WriteString(" …")
	}
	return b.String()
}
