package pftest

import (
	"strings"
)

// The parts of a rules file in the order in which the older pfctls want them.
const (
	orderOptions = iota + 1
	orderScrub
	orderQueue
	orderNat
	orderFilter
)

// leftOut are the rules that are read without being kept, with their part of the file.
var leftOut = map[string]int{"scrub": orderScrub, "scrub-anchor": orderScrub, "altq": orderQueue, "queue": orderQueue, "nat": orderNat, "rdr": orderNat, "binat": orderNat,
	"nat-anchor": orderNat, "rdr-anchor": orderNat, "binat-anchor": orderNat, "antispoof": orderFilter}

// inOrder says whether a rule of a part may still come.
func (p *parser) inOrder(t token, part int) error {
	if p.pf.prof.OpenBSD {
		return nil
	}
	if p.order > part {
		parts := "options, normalization, queueing, translation, filtering"
		if p.pf.prof.Name == "freebsd15" {
			parts = "options, ethernet, normalization, queueing, translation, filtering"
		}
		return p.fault(t.line, "Rules must be in order: %s", parts)
	}
	p.order = part
	return nil
}

// set reads an option. Limits are kept; the others are only printed again.
func (p *parser) set(out *parsed, t token) error {
	if err := p.inOrder(t, orderOptions); err != nil {
		return err
	}
	var words []string
	for !p.atEnd() {
		words = append(words, p.next().text)
	}
	if len(words) < 2 {
		return p.syntax()
	}
	switch words[0] {
	case "limit":
		limits, bad := p.pf.parseLimits(words)
		if bad != "" || len(limits) == 0 {
			return p.syntax()
		}
		for _, l := range limits {
			if p.pf.defaultLimit(l.Name) == 0 {
				p.stderr("pfctl: Bad pool name.")
				return p.fault(t.line, "unable to set limit %s %d", l.Name, l.Max)
			}
			p.echo("set limit %s %d\n", l.Name, l.Max)
		}
		out.limits = append(out.limits, limits...)
	case "skip":
		names := strings.FieldsFunc(strings.Join(words[2:], " "), func(r rune) bool { return strings.ContainsRune(" {},", r) })
		p.echo("set skip on { %s }\n", strings.Join(names, " "))
	case "timeout", "optimization", "loginterface", "debug", "block-policy", "state-policy":
		if words[1] != "{" {
			p.echo("set %s\n", strings.Join(words, " "))
		}
	}
	return nil
}
