package pftest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// flush is -F.
func (c *call) flush() error {
	pf, path := c.pf, trimAnchor(c.o.anchor)
	if pf.secure() && c.o.flush != "states" {
		c.warn("Operation not permitted")
		return exitError(1)
	}
	main := path == ""
	switch c.o.flush {
	case "rules":
		return c.flushRules(path)
	case "Tables":
		return c.flushTables(path)
	case "states":
		c.flushStates()
	case "info":
		pf.packets = [2][2]uint64{}
		c.note("pf: statistics cleared")
	case "Sources":
		c.note("source tracking entries cleared")
	case "nat":
		c.note("nat cleared")
	case "queue":
		c.note("altq cleared")
	case "all":
		if err := c.flushRules(path); err != nil {
			return err
		}
		if !pf.prof.OpenBSD {
			c.note("nat cleared")
		}
		if err := c.flushTables(path); err != nil {
			return err
		}
		if !main {
			return nil
		}
		if !pf.prof.OpenBSD {
			c.note("altq cleared")
		}
		if pf.prof.OpenBSD {
			c.note("pf: interface flags reset")
		}
		c.flushStates()
		c.note("source tracking entries cleared")
		c.note("pf: statistics cleared")
		if !pf.prof.OpenBSD {
			c.note("pf: interface flags reset")
		} else {
			pf.limitSet = false
		}
	case "Reset":
		pf.limitSet = false
	}
	return nil
}

func (c *call) flushRules(path string) error {
	if !c.pf.exists(path) && !c.pf.prof.OpenBSD {
		c.note("rules cleared") // a transaction makes the anchor, and its end removes it
		return nil
	}
	if rs := c.pf.sets[path]; rs != nil {
		rs.rules = nil
		c.pf.recount()
	}
	c.note("rules cleared")
	return nil
}

func (c *call) flushTables(path string) error {
	if !c.pf.exists(path) {
		c.noAnchor()
		return exitError(1)
	}
	n := 0
	if rs := c.pf.sets[path]; rs != nil {
		for _, t := range rs.tables {
			if t.active {
				t.kill()
				n++
			}
		}
		c.pf.settle()
		c.pf.wake()
	}
	c.say("%d tables deleted", n)
	return nil
}

func (c *call) flushStates() {
	n := len(c.pf.states)
	c.pf.states = nil
	c.pf.reindex()
	c.note("%d states cleared", n)
}

func (c *call) zeroRules() {
	if rs := c.pf.sets[c.o.anchor]; rs != nil {
		for _, r := range rs.rules {
			r.Evaluations, r.Packets, r.Bytes, r.Creations = 0, [2]uint64{}, [2]uint64{}, 0
		}
	}
}

// killStates is -k.
func (c *call) killStates() error {
	pf, k := c.pf, c.o.kill
	if pf.prof.OpenBSD && pf.secure() {
		c.warn("DIOCKILLSTATES: Operation not permitted")
		return exitError(1)
	}
	switch {
	case len(k) == 2 && k[0] == "label":
		n := pf.removeStates(func(s *connState) bool { r := pf.ruleOf(s); return r != nil && r.Label == k[1] })
		c.note("killed %d states", n)
		return nil
	case len(k) == 2 && k[0] == "id":
		hex, _, _ := strings.Cut(k[1], "/")
		id, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			c.warn("wrong id format specified")
			return c.usage()
		}
		if id == 0 {
			c.warn("cannot kill id 0")
			return c.usage()
		}
		n := pf.removeStates(func(s *connState) bool { return s.ID == id })
		c.note("killed %d states", n)
		return nil
	case len(k) == 2 && k[0] == "key" && pf.prof.Name != "freebsd12":
		n := pf.removeStates(func(s *connState) bool {
			return strings.Join(strings.Fields(k[1]), " ") == s.keyText()
		})
		c.note("killed %d states", n)
		return nil
	}
	src, err := c.killHosts(k[0])
	if err != nil {
		return err
	}
	dst := []netip.Prefix{{}}
	if len(k) == 2 {
		if dst, err = c.killHosts(k[1]); err != nil {
			return err
		}
	}
	killed, dests := 0, 0
	for _, s := range src {
		for _, d := range dst {
			if d.IsValid() {
				if d.Addr().Is4() != s.Addr().Is4() {
					continue
				}
				dests++
			}
			killed += pf.removeStates(func(st *connState) bool {
				return s.Contains(st.Src) && (!d.IsValid() || d.Contains(st.Dst))
			})
		}
	}
	c.note("killed %d states from %d sources and %d destinations", killed, len(src), dests)
	return nil
}

// killHosts resolves an argument of -k or -K.
func (c *call) killHosts(s string) ([]netip.Prefix, error) {
	name, mask, has := strings.Cut(s, "/")
	var addrs []netip.Addr
	if a, ok := number(name, false); ok {
		addrs = []netip.Addr{a}
	} else if name == "localhost" {
		addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	} else {
		why := "hostname nor servname provided, or not known"
		if c.pf.prof.OpenBSD {
			why = "no address associated with name"
		}
		c.warn("getaddrinfo: %s", why)
		return nil, exitError(1)
	}
	var out []netip.Prefix
	for _, a := range addrs {
		n := a.BitLen()
		if has {
			m, err := strconv.Atoi(mask)
			switch {
			case err != nil || m < 0:
				c.warn("prefix is invalid: %s", mask)
				return nil, exitError(1)
			case m > n && c.pf.prof.OpenBSD:
				c.warn("prefix is too large: %s", mask)
				return nil, exitError(1)
			case m > n:
				c.warn("prefix too long for AF_INET%s", map[bool]string{true: "6"}[a.Is6()])
				return nil, exitError(1)
			}
			n = m
		}
		out = append(out, netip.PrefixFrom(a, n).Masked())
	}
	return out, nil
}

// killNodes is -K; nothing here tracks sources.
func (c *call) killNodes() error {
	if c.pf.prof.OpenBSD && c.pf.secure() {
		c.warn("DIOCKILLSRCNODES: Operation not permitted")
		return exitError(1)
	}
	src, err := c.killHosts(c.o.killNodes[0])
	if err != nil {
		return err
	}
	dests := 0
	if len(c.o.killNodes) == 2 {
		dst, err := c.killHosts(c.o.killNodes[1])
		if err != nil {
			return err
		}
		for _, s := range src {
			for _, d := range dst {
				if s.Addr().Is4() == d.Addr().Is4() {
					dests++
				}
			}
		}
	}
	c.note("%s", fmt.Sprintf("killed 0 src nodes from %d sources and %d destinations", len(src), dests))
	return nil
}
