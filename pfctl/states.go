package pfctl

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strconv"
)

// State is one connection that PF keeps track of.
type State struct {
	Proto  string         // as PF names it
	Opener netip.AddrPort // who sent the first packet; port 0 where the protocol has none
	Peer   netip.AddrPort // to whom, behind any translation of ours
	Out    bool           // the first packet went out of the interface
	// Established: TCP, and both sides have acknowledged the other, so neither address is forged.
	Established bool
}

// ParseState reads one line of -s states. PF's arrow points from the opener of the connection to its peer: "A -> B" was opened by A and
// went out, "B <- A" was opened by A and came in. A translated address stands in parentheses, or between two arrows in PF of OpenBSD 4.2
// to 4.6 (NetBSD, macOS, FreeBSD 8); the outermost ones are what is wanted.
func ParseState(line []byte) (s State, ok bool) {
	f := bytes.Fields(line)
	if len(line) == 0 || line[0] == ' ' || line[0] == '\t' || len(f) < 5 {
		return s, false
	}
	var first, last netip.AddrPort
	arrow, behind := "", false
	for _, w := range f[2:] {
		switch string(w) {
		case "->", "<-":
			if arrow != "" && arrow != string(w) {
				return s, false
			}
			arrow, behind = string(w), true
			continue
		}
		a, is := hostPort(w)
		if !is || w[0] == '(' {
			continue
		}
		at := netip.AddrPortFrom(a, portOf(w))
		if arrow == "" {
			if !first.IsValid() {
				first = at
			}
		} else if behind {
			last, behind = at, false
		}
	}
	if !first.IsValid() || !last.IsValid() {
		return s, false
	}
	s.Proto, s.Out = string(f[1]), arrow == "->"
	s.Opener, s.Peer = last, first
	if s.Out {
		s.Opener, s.Peer = first, last
	}
	switch string(f[len(f)-1]) {
	case "ESTABLISHED:ESTABLISHED", "FIN_WAIT_2:FIN_WAIT_2": // TIME_WAIT is what a reset leaves too
		s.Established = s.Proto == "tcp"
	}
	return s, true
}

// portOf reads the port of "a:p" or "a[p]", 0 if there is none.
func portOf(w []byte) uint16 {
	i := bytes.IndexByte(w, '[')
	if i < 0 {
		if i = bytes.IndexByte(w, ':'); i < 0 || bytes.IndexByte(w[i+1:], ':') >= 0 {
			return 0
		}
	}
	n, err := strconv.ParseUint(string(bytes.TrimSuffix(w[i+1:], []byte("]"))), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// States reads PF's state table, unless it has more than most states: a dump costs PF time for each. count is the number of states.
func (d *Driver) States(ctx context.Context, most int, each func(State)) (count int, err error) {
	info, err := d.exec(ctx, "show status", []string{"-s", "info"}, nil)
	if err != nil {
		return 0, err
	}
	count, known := parseEntries(info.Stdout)
	if !known {
		return 0, errors.New("pfctl: show status: it does not say how many states there are")
	}
	if count == 0 || count > most {
		return count, nil
	}
	res, err := d.exec(ctx, "show states", []string{"-s", "states"}, nil)
	if err != nil {
		return count, err
	}
	skipped := 0
	for line := range bytes.Lines(res.Stdout) {
		if s, ok := ParseState(bytes.TrimRight(line, "\r\n")); ok {
			each(s)
		} else {
			skipped++
		}
	}
	d.mu.Lock()
	d.stats.Skipped += uint64(skipped)
	d.mu.Unlock()
	return count, nil
}

// parseEntries reads "  current entries   6" of the state table from -s info. It comes before that of source tracking.
func parseEntries(out []byte) (int, bool) {
	for line := range bytes.Lines(out) {
		f := bytes.Fields(line)
		if len(f) >= 3 && string(f[0]) == "current" && string(f[1]) == "entries" {
			n, err := strconv.Atoi(string(f[2]))
			return n, err == nil
		}
	}
	return 0, false
}
