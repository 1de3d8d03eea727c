package pfctl

import (
	"bytes"
	"net/netip"
)

// ParseStates reads the output of -s states and hands over every address of every state, translated ones too:
//
//	all tcp 203.0.113.1:22 <- 192.0.2.50:1001       CLOSED:SYN_SENT
//	em0 tcp 10.0.0.5:3333 (203.0.113.5:61212) -> 192.0.2.50:80       ESTABLISHED:ESTABLISHED
//	all tcp 2001:db8::1[22] <- 2001:db8::50[1001]       CLOSED:SYN_SENT
//
// Lines that it does not know are counted and left out; so are the indented ones of -v.
func ParseStates(out []byte, address func(netip.Addr)) (states, skipped int) {
	for len(out) > 0 {
		line, rest, _ := bytes.Cut(out, []byte{'\n'})
		out = rest
		if len(line) == 0 || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		f := bytes.Fields(line)
		found := 0
		for _, w := range f[min(2, len(f)):] {
			if a, ok := hostPort(w); ok {
				found++
				address(a)
			}
		}
		if found < 2 {
			skipped++
			continue
		}
		states++
	}
	return states, skipped
}

// hostPort reads "a:p", "a[p]", "(a:p)", or an address alone.
func hostPort(w []byte) (netip.Addr, bool) {
	w = bytes.Trim(w, "()")
	if i := bytes.IndexByte(w, '['); i >= 0 {
		w = w[:i]
	} else if i := bytes.IndexByte(w, ':'); i >= 0 && bytes.IndexByte(w[i+1:], ':') < 0 {
		w = w[:i]
	}
	if len(w) < 2 || len(w) > 45 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(w))
	return a.WithZone("").Unmap(), err == nil
}
