package match

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
)

// field parses the primitives that compare one field of the record; it returns nil if the word is none of theirs.
func (p *parser) field(t token) (Filter, error) {
	switch t.text {
	case "inbound":
		p.take()
		return func(p *capture.Packet) bool { return p.Direction == capture.In }, nil
	case "outbound":
		p.take()
		return func(p *capture.Packet) bool { return p.Direction == capture.Out }, nil
	case "on", "ifname":
		name, _, err := p.argument("an interface")
		return func(p *capture.Packet) bool { return p.Interface == name }, err
	case "rset", "ruleset":
		name, _, err := p.argument("the name of an anchor")
		return func(p *capture.Packet) bool { return p.Anchor == name }, err
	case "action":
		return p.action()
	case "reason":
		return p.reason()
	case "rnr", "rulenum":
		n, err := p.number("def", capture.NoRule)
		return func(p *capture.Packet) bool { return p.Rule == n }, err
	case "srnr", "subrulenum":
		n, err := p.number("none", capture.NoRule)
		return func(p *capture.Packet) bool { return p.Subrule == n }, err
	case "rid":
		n, err := p.number("none", 0)
		return func(p *capture.Packet) bool { return p.RuleID == n }, err
	case "uid":
		if none := p.tokens[p.next+1]; none.text == "none" {
			p.next += 2
			return func(p *capture.Packet) bool { return p.Has&capture.HasUID == 0 }, nil
		}
		n, err := p.number("none", 0)
		return func(p *capture.Packet) bool { return p.UID == n && p.Has&capture.HasUID != 0 }, err
	case "proto":
		return p.proto()
	case "flags":
		return p.flags()
	}
	return nil, nil
}

// argument takes the primitive's word and the one after it, whatever it is.
func (p *parser) argument(expected string) (string, token, error) {
	primitive := p.take()
	t := p.take()
	switch t.kind {
	case word, quoted:
		return t.text, t, nil
	}
	return "", t, p.fail(t, "expected %s after %q, found %s", expected, primitive.text, t)
}

// number takes the primitive's word and a number or the word that stands for a special one.
func (p *parser) number(special string, value uint32) (uint32, error) {
	text, t, err := p.argument("a number or " + special)
	if err != nil {
		return 0, err
	}
	if text == special || special == "def" && text == "default" {
		return value, nil
	}
	n, err := parseUint(text, 32)
	if err != nil {
		return 0, p.fail(t, "%s is neither a number nor %s", t, special)
	}
	return uint32(n), nil
}

// parseUint reads decimal, or hexadecimal after 0x.
func parseUint(s string, size int) (uint64, error) {
	if hex, found := strings.CutPrefix(s, "0x"); found {
		return strconv.ParseUint(hex, 16, size)
	}
	return strconv.ParseUint(s, 10, size)
}

// anyNumber reads a number as the output writes one that has no name: 12 or unknown(12), which is one word only in quotes.
func anyNumber(s string) (uint16, bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "unknown("), ")")
	n, err := parseUint(s, 16)
	return uint16(n), err == nil
}

func (p *parser) action() (Filter, error) {
	name, t, err := p.argument("an action")
	if err != nil {
		return nil, err
	}
	if n, ok := anyNumber(name); ok {
		return func(p *capture.Packet) bool { return p.Action == capture.Action(n) }, nil
	}
	if name == "drop" {
		name = "block"
	}
	system := p.system
	// The name of a number differs by dialect. Most names have one number: those are compared as such.
	for a := capture.Action(0); a <= 10; a++ {
		if name == pflog.ActionName(45, a, pflog.Auto) {
			return func(p *capture.Packet) bool { return p.Action == a }, nil
		}
	}
	if !known(name, func(d capture.Dialect, n uint16, s pflog.System) string {
		return pflog.ActionName(d, capture.Action(n), s)
	}) {
		return nil, p.fail(t, "unknown action %s", t)
	}
	return func(p *capture.Packet) bool { return pflog.ActionName(p.Dialect, p.Action, system) == name }, nil
}

func (p *parser) reason() (Filter, error) {
	name, t, err := p.argument("a reason")
	if err != nil {
		return nil, err
	}
	if n, ok := anyNumber(name); ok {
		return func(p *capture.Packet) bool { return p.Reason == capture.Reason(n) }, nil
	}
	system := p.system
	for r := capture.Reason(0); r <= 14; r++ {
		if name == pflog.ReasonName(45, r, pflog.Auto) {
			return func(p *capture.Packet) bool { return p.Reason == r }, nil
		}
	}
	if !known(name, func(d capture.Dialect, n uint16, s pflog.System) string {
		return pflog.ReasonName(d, capture.Reason(n), s)
	}) {
		return nil, p.fail(t, "unknown reason %s", t)
	}
	return func(p *capture.Packet) bool { return pflog.ReasonName(p.Dialect, p.Reason, system) == name }, nil
}

// known tells whether any system uses a name.
func known(name string, of func(capture.Dialect, uint16, pflog.System) string) bool {
	for s := pflog.OpenBSD; s <= pflog.Darwin; s++ {
		for n := range uint16(32) {
			if of(61, n, s) == name {
				return true
			}
		}
	}
	return false
}

func (p *parser) proto() (Filter, error) {
	name, t, err := p.argument("a protocol")
	if err != nil {
		return nil, err
	}
	name = strings.TrimPrefix(name, `\`) // tcpdump needs the backslash, so fingers write it
	if w, found := protocols[name]; found && w.fixed {
		return w.test, nil
	}
	n, err := parseUint(name, 8)
	if err != nil {
		return nil, p.fail(t, "unknown protocol %s: want tcp, udp, icmp, icmp6 or a number", t)
	}
	return protocol{number: uint8(n), fixed: true}.test, nil
}

func (p *parser) flags() (Filter, error) {
	text, t, err := p.argument("TCP flags")
	if err != nil {
		return nil, err
	}
	mask := uint8(0xff)
	set, maskText, masked := strings.Cut(text, "/")
	if masked {
		if mask, err = parseFlags(maskText); err != nil {
			return nil, p.fail(t, "%v", err)
		}
	}
	var want uint8
	if set != "" || !masked { // "/SFRA" is pf.conf's "none of these"
		if want, err = parseFlags(set); err != nil {
			return nil, p.fail(t, "%v", err)
		}
	}
	if want&^mask != 0 {
		return nil, p.fail(t, "%s can never match: flags in front of the slash are missing after it", t)
	}
	return func(p *capture.Packet) bool { return p.Has&capture.HasTCPFlags != 0 && p.TCPFlags&mask == want }, nil
}

func parseFlags(s string) (uint8, error) {
	if s == "none" {
		return 0, nil
	}
	var flags uint8
	for _, c := range s {
		i := strings.IndexRune("FSRP.UEW", c)
		if c == 'A' {
			i = 4
		}
		if i < 0 {
			return 0, fmt.Errorf("%q is no TCP flag: want letters of F S R P . (or A) U E W, or none", c)
		}
		flags |= 1 << i
	}
	if flags == 0 {
		return 0, errors.New("no TCP flags given: want letters of F S R P . (or A) U E W, or none")
	}
	return flags, nil
}
