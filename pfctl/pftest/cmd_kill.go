package pftest

import (
	"net/netip"
	"strconv"
	"strings"
)

// killStates is -k. -n does not keep pfctl from it: it asks a device that it has opened for reading only, and is refused.
func (c *call) killStates() error {
	pf, k := c.pf, c.o.kill
	match, err := c.killMatch(k)
	if err != nil {
		return err
	}
	if match != nil {
		if err := c.mayKill(); err != nil {
			return err
		}
		n := pf.removeStates(func(s *connState) bool { return c.ifaceFits() && match(s) })
		c.note("killed %d states", n)
		return nil
	}
	if len(k) == 2 && k[0] == "nat" && pf.prof.Name == "freebsd15" {
		k = k[1:]
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
		if len(k) == 2 {
			dests = 0
		}
		for _, d := range dst {
			if d.IsValid() {
				if d.Addr().Is4() != s.Addr().Is4() {
					continue
				}
				dests++
			}
			if err := c.mayKill(); err != nil {
				return err
			}
			killed += pf.removeStates(func(st *connState) bool {
				return c.ifaceFits() && s.Contains(st.Src) && (!d.IsValid() || d.Contains(st.Dst))
			})
		}
	}
	c.note("killed %d states from %d sources and %d destinations", killed, len(src), dests)
	return nil
}

// mayKill says why states cannot be killed now.
func (c *call) mayKill() error {
	switch {
	case c.o.dry && c.dummy:
		c.warn("DIOCKILLSTATES: Permission denied")
	case c.o.dry:
		c.warn("DIOCKILLSTATES: Bad file descriptor")
	case c.pf.prof.OpenBSD && c.pf.secure():
		c.warn("DIOCKILLSTATES: Operation not permitted")
	default:
		return nil
	}
	return exitError(1)
}

// ifaceFits says whether -i lets states through: here all of them float, and belong to no interface.
func (c *call) ifaceFits() bool { return c.o.iface == "" || c.o.iface == "all" }

// killMatch reads the forms of -k that do not name hosts; nil means that it is none of them.
func (c *call) killMatch(k []string) (func(*connState) bool, error) {
	pf := c.pf
	what, second := k[0], ""
	if len(k) == 2 {
		second = k[1]
	}
	switch {
	case what == "label", what == "id", what == "key" && pf.prof.Recursion, what == "gateway" && pf.prof.Name == "freebsd15":
	default:
		return nil, nil
	}
	if second == "" {
		c.warn("no %s specified", what)
		return nil, c.usage()
	}
	switch what {
	case "label":
		if len(second) >= 64 {
			c.warn("label too long: %s", second)
			return nil, exitError(1)
		}
		return func(s *connState) bool { return s.rule != nil && s.rule.Label == second }, nil
	case "id":
		return c.killID(second)
	case "gateway":
		if _, err := c.killHosts(second); err != nil {
			return nil, err
		}
		return func(*connState) bool { return false }, nil // there is no route-to here
	}
	return c.killKey(second)
}

// killID reads "hex" or "hex/hex": the number of a state, and of the machine that made it.
func (c *call) killID(text string) (func(*connState) bool, error) {
	number, creator, has := strings.Cut(text, "/")
	id, ok := leadingHex(number)
	if !ok {
		c.warn("wrong id format specified")
		return nil, c.usage()
	}
	if id == 0 {
		c.warn("cannot kill id 0")
		return nil, c.usage()
	}
	by, byOK := leadingHex(creator)
	return func(s *connState) bool { return s.ID == id && (!has || !byOK || by == hostID) }, nil
}

// leadingHex reads a number as sscanf(3) does with %llx: what follows it does not matter.
func leadingHex(s string) (uint64, bool) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	n := 0
	for n < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[n]) >= 0 {
		n++
	}
	v, err := strconv.ParseUint(s[:n], 16, 64)
	return v, err == nil
}

// killKey reads "proto host1:port1 direction host2:port2", as -s states prints it.
func (c *call) killKey(text string) (func(*connState) bool, error) {
	fail := func(format string, args ...any) (func(*connState) bool, error) {
		c.warn(format, args...)
		return nil, exitError(1)
	}
	w := strings.Fields(text)
	if len(w) != 4 {
		return fail("pfctl_key_kill_states: key must be \"protocol host1:port1 direction host2:port2\" format")
	}
	proto, known := protoNumbers[w[0]]
	if !known {
		return fail("invalid protocol: %s", w[0])
	}
	from, to := w[1], w[3]
	switch w[2] {
	case "->":
	case "<-":
		from, to = to, from
	default:
		return fail("invalid direction: %s", w[2])
	}
	src, sport, ok := hostAndPort(from)
	if !ok {
		return fail("invalid host: %s", from)
	}
	dst, dport, ok := hostAndPort(to)
	if !ok {
		return fail("invalid host: %s", to)
	}
	return func(s *connState) bool {
		return s.Proto == proto && s.Src == src && s.SPort == sport && s.Dst == dst && s.DPort == dport
	}, nil
}

// hostAndPort reads 192.0.2.1:22 or 2001:db8::1[22].
func hostAndPort(s string) (netip.Addr, uint16, bool) {
	host, port, ok := strings.Cut(s, "[")
	if ok {
		port, ok = strings.CutSuffix(port, "]")
	} else {
		host, port, ok = strings.Cut(s, ":")
	}
	a, err := netip.ParseAddr(host)
	n, err2 := strconv.ParseUint(port, 10, 16)
	return a, uint16(n), ok && err == nil && err2 == nil
}

// killHosts resolves an argument of -k or -K.
func (c *call) killHosts(s string) ([]netip.Prefix, error) {
	name, mask, has := strings.Cut(s, "/")
	var addrs []netip.Addr
	find := func() error {
		if a, ok := number(name, false); ok {
			addrs = []netip.Addr{a}
		} else if name == "localhost" && !has {
			addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
		} else {
			why := "hostname nor servname provided, or not known"
			if c.pf.prof.OpenBSD {
				why = "no address associated with name"
			}
			c.warn("getaddrinfo: %s", why)
			return exitError(1)
		}
		return nil
	}
	older := !c.pf.prof.Recursion // looks at the mask first, and at its size by family afterwards
	width := -1
	if older && has {
		n, why := strtonum(mask, 0, 128)
		if why != "" {
			c.warn("prefix is %s: %s", why, mask)
			return nil, exitError(1)
		}
		width = int(n)
	}
	if err := find(); err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range addrs {
		n := a.BitLen()
		switch {
		case !has:
		case older && width > n:
			c.warn("prefix too long for AF_INET")
			return nil, exitError(1)
		case older:
			n = width
		default:
			m, why := strtonum(mask, 0, int64(n))
			if why != "" {
				c.warn("prefix is %s: %s", why, mask)
				return nil, exitError(1)
			}
			n = int(m)
		}
		out = append(out, netip.PrefixFrom(a, n).Masked())
	}
	return out, nil
}

// killNodes is -K; nothing here tracks sources.
func (c *call) killNodes() error {
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
	switch {
	case c.o.dry && c.dummy:
		c.warn("DIOCKILLSRCNODES: Permission denied")
		return exitError(1)
	case c.o.dry:
		c.warn("DIOCKILLSRCNODES: Bad file descriptor")
		return exitError(1)
	case c.pf.prof.OpenBSD && c.pf.secure():
		c.warn("DIOCKILLSRCNODES: Operation not permitted")
		return exitError(1)
	}
	c.note("killed 0 src nodes from %d sources and %d destinations", len(src), dests)
	return nil
}
