package pftest

import (
	"net/netip"
	"slices"
	"strings"
)

// Packet is a packet that PF judges. Length is the IP length. It comes and goes by em0.
type Packet struct {
	Out          bool
	Src, Dst     netip.Addr
	Proto        int
	SPort, DPort uint16
	Length       int
	Flags        int // of TCP; 2 is SYN
	Count        int // so many of them; 0 is 1
}

// packetIface is the interface that packets use.
const packetIface = "em0"

// Packet runs a packet, Count times, through states, main ruleset and anchors, and counts.
func (pf *PF) Packet(p Packet) (pass, drop int) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	pf.purge()
	n := max(p.Count, 1)
	for range n {
		if pf.one(&p) {
			pass++
		} else {
			drop++
		}
	}
	return pass, drop
}

// verdict is what evaluation has found so far.
type verdict struct {
	rule, anchor *rule
	path         string
	index        int
	matches      []matched // match rules on the way
	depth        int       // of anchors
	calls        int       // of anchors, in all
}

// anchorDepth is how deep anchors may call anchors (PF_ANCHOR_STACK_MAX).
const anchorDepth = 64

// anchorCalls is how many anchors one packet runs through at most, and how many -s rules prints: anchors that call each other would have no end.
const anchorCalls = 1000

type matched struct {
	rule *rule
	path string
}

func (p *Packet) dir() int {
	if p.Out {
		return dirOut
	}
	return dirIn
}

func (pf *PF) one(p *Packet) bool {
	if !pf.enabled {
		return true
	}
	now := pf.now()
	pf.info.Searches++
	if s, reply := pf.stateOf(p); s != nil && s.Expires > now.UnixNano() {
		s.advance(p, reply, now)
		way := 0
		if reply {
			way = 1
		}
		s.Packets[way]++
		s.Bytes[way] += uint64(p.Length)
		if s.rule != nil {
			pf.countRule(s.rule, s.RulePath, p, reply, true)
		}
		return true
	}
	pf.info.Match++
	var v verdict
	pf.evaluate("", nil, p, &v)
	for _, m := range v.matches {
		pf.countMatch(m, p)
	}
	r := v.rule
	if r == nil { // the default rule passes
		return true
	}
	pass := r.Action == "pass"
	pf.countRule(r, v.path, p, false, pass)
	if v.anchor != nil {
		v.anchor.Packets[p.dir()]++
		v.anchor.Bytes[p.dir()] += uint64(p.Length)
	}
	if !pass {
		return false
	}
	if r.State != "no" {
		if len(pf.states) >= pf.limitOf("states") {
			pf.info.Memory++
			return false
		}
		pf.nextState++
		pf.info.Inserts++
		s := &connState{ID: pf.nextState, Out: p.Out, Proto: p.Proto, Src: p.Src, Dst: p.Dst, SPort: p.SPort, DPort: p.DPort,
			RulePath: v.path, RuleIndex: v.index, rule: r, Created: now.UnixNano(), Packets: [2]uint64{1, 0}, Bytes: [2]uint64{uint64(p.Length), 0}, AnchorIndex: -1}
		if v.anchor != nil {
			s.AnchorIndex = slices.Index(pf.sets[""].rules, v.anchor)
		}
		s.advance(p, false, now)
		r.Creations++
		if old := pf.index[s.key()]; old != nil { // it had run out
			pf.removeStates(func(x *connState) bool { return x == old })
		}
		pf.states = append(pf.states, s)
		pf.index[s.key()] = s
	}
	return true
}

// lookupTable is the table that a rule in an anchor means: the anchor's own if it is active, else the main ruleset's.
func (pf *PF) lookupTable(path, name string) *table {
	if t := pf.active(path, name); t != nil {
		return t
	}
	return pf.active("", name)
}

// countRule counts a packet for the rule that decided it and for the tables that the rule names.
func (pf *PF) countRule(r *rule, path string, p *Packet, reply, pass bool) {
	r.Packets[p.dir()]++
	r.Bytes[p.dir()] += uint64(p.Length)
	r.LastActive = pf.now().UnixNano()
	op := opBlock
	if pass {
		op = opPass
	}
	src, dst := p.Src, p.Dst
	if reply {
		src, dst = dst, src
	}
	pf.countSides(r, path, src, dst, p, op)
}

func (pf *PF) countMatch(m matched, p *Packet) {
	m.rule.Packets[p.dir()]++
	m.rule.Bytes[p.dir()] += uint64(p.Length)
	pf.countSides(m.rule, m.path, p.Src, p.Dst, p, opMatch)
}

func (pf *PF) countSides(r *rule, path string, src, dst netip.Addr, p *Packet, op int) {
	for i, s := range [2]side{r.Src, r.Dst} {
		if s.Table == "" {
			continue
		}
		a := src
		if i == 1 {
			a = dst
		}
		if t := pf.lookupTable(path, s.Table); t != nil {
			pf.count(t, keyOf(netip.PrefixFrom(a, a.BitLen())), s.Not, p.dir(), op, 1, uint64(p.Length))
		}
	}
}

// evaluate runs a packet through a ruleset: the last rule that matches decides, a quick one at once. It reports whether to stop.
func (pf *PF) evaluate(path string, anchor *rule, p *Packet, v *verdict) bool {
	rs := pf.sets[path]
	if v.calls++; rs == nil || v.depth >= anchorDepth || v.calls > anchorCalls {
		return false
	}
	v.depth++
	defer func() { v.depth-- }()
	for i := 0; i < len(rs.rules); i++ {
		r := rs.rules[i]
		r.Evaluations++
		if field := pf.mismatch(r, path, p); field >= 0 {
			if field < skipFields { // PF's skip steps: rules that ask the same of this field are not looked at
				for i+1 < len(rs.rules) && sameField(r, rs.rules[i+1], field) {
					i++
				}
			}
			continue
		}
		switch r.Action {
		case "match":
			v.matches = append(v.matches, matched{r, path})
			if r.Quick {
				return true
			}
		case "anchor":
			before := v.rule
			sub, all := resolve(path, r.Anchor)
			stop := false
			if all {
				for _, child := range pf.children(sub) {
					if stop = pf.evaluate(child, r, p, v); stop {
						break
					}
				}
			} else {
				stop = pf.evaluate(sub, r, p, v)
			}
			if stop || (r.Quick && v.rule != before) {
				return true
			}
		default:
			v.rule, v.anchor, v.path, v.index = r, anchor, path, i
			if r.Quick {
				return true
			}
		}
	}
	return false
}

// Fields in the order in which PF asks them; up to skipFields it skips.
const (
	fieldIf = iota
	fieldDir
	fieldAF
	fieldProto
	fieldSrc
	fieldSrcPort
	fieldDst
	fieldDstPort
	skipFields
	fieldFlags
)

func sameField(a, b *rule, field int) bool {
	switch field {
	case fieldIf:
		return a.If == b.If && a.IfNot == b.IfNot
	case fieldDir:
		return a.Dir == b.Dir
	case fieldAF:
		return a.AF == b.AF
	case fieldProto:
		return a.Proto == b.Proto
	case fieldSrc:
		return sameAddr(a.Src, b.Src)
	case fieldSrcPort:
		return a.Src.Port == b.Src.Port
	case fieldDst:
		return sameAddr(a.Dst, b.Dst)
	case fieldDstPort:
		return a.Dst.Port == b.Dst.Port
	}
	return false
}

func sameAddr(a, b side) bool {
	if a.Not || b.Not || a.Table != b.Table || a.Iface != b.Iface || (a.Net == nil) != (b.Net == nil) {
		return false
	}
	return a.Net == nil || *a.Net == *b.Net
}

// mismatch returns the first field of a rule that a packet fails, -1 if it matches.
func (pf *PF) mismatch(r *rule, path string, p *Packet) int {
	if r.If != "" && r.If != "any" && r.IfNot == (r.If == packetIface || r.If == "egress" || strings.TrimRight(packetIface, "0123456789") == r.If) {
		return fieldIf
	}
	if r.Dir != "" && (r.Dir == "out") != p.Out {
		return fieldDir
	}
	if r.AF != "" && (r.AF == "inet") != p.Src.Is4() {
		return fieldAF
	}
	if r.Proto != 0 && r.Proto != p.Proto {
		return fieldProto
	}
	if !pf.sideMatch(r.Src, path, p.Src) {
		return fieldSrc
	}
	if !r.Src.Port.match(p.SPort) {
		return fieldSrcPort
	}
	if !pf.sideMatch(r.Dst, path, p.Dst) {
		return fieldDst
	}
	if !r.Dst.Port.match(p.DPort) {
		return fieldDstPort
	}
	if p.Proto == 6 && r.Flags != "" && r.Flags != "any" && !flagsMatch(r.Flags, p.Flags) {
		return fieldFlags
	}
	return -1
}

func flagsMatch(want string, got int) bool {
	bits := func(s string) int {
		n := 0
		for _, c := range s {
			n |= 1 << max(0, strings.IndexRune("FSRPAUEW", c))
		}
		return n
	}
	set, mask, has := strings.Cut(want, "/")
	if !has {
		mask = "FSRPAU"
	}
	return got&bits(mask) == bits(set)
}

func (pf *PF) sideMatch(s side, path string, a netip.Addr) bool {
	switch {
	case s.Table != "":
		t := pf.lookupTable(path, s.Table)
		if t == nil {
			return s.Not
		}
		e := t.lookup(keyOf(netip.PrefixFrom(a, a.BitLen())))
		hit := e != nil && !e.not
		if hit {
			t.match++
		} else {
			t.nomatch++
		}
		return hit != s.Not
	case s.Net != nil:
		k := keyOf(netip.PrefixFrom(a, a.BitLen()))
		return (k.six == s.Net.six && k.mask(s.Net.bits) == *s.Net) != s.Not
	case s.Iface != "":
		list, _ := pf.ifaceAddrs(s.Iface)
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) }) != s.Not
	}
	return true
}
