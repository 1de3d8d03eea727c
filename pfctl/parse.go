package pfctl

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Count is packets and bytes (IP lengths).
type Count struct{ Packets, Bytes uint64 }

func (c *Count) add(o Count) { c.Packets += o.Packets; c.Bytes += o.Bytes }

// Counts are PF's counters of an address or a table. XPass, of tables only, are packets that a state let pass although the table
// no longer says so.
type Counts struct {
	InBlock, InMatch, InPass, InXPass     Count
	OutBlock, OutMatch, OutPass, OutXPass Count
}

// fields lists the counters in a fixed order, for sums and comparisons.
func (c *Counts) fields() [8]*Count {
	return [8]*Count{&c.InBlock, &c.InMatch, &c.InPass, &c.InXPass, &c.OutBlock, &c.OutMatch, &c.OutPass, &c.OutXPass}
}

// Add sums o into c.
func (c *Counts) Add(o Counts) {
	of := o.fields()
	for i, f := range c.fields() {
		f.add(*of[i])
	}
}

// Blocked is what was dropped in both directions.
func (c Counts) Blocked() Count {
	t := c.InBlock
	t.add(c.OutBlock)
	return t
}

// AddrCounts is one entry as -T show -v prints it.
type AddrCounts struct {
	Prefix  netip.Prefix
	Negated bool      // "!": an exception from a wider entry
	Cleared time.Time // when its counting began; zero where it was not printed. Not the start of a ban
	Counts  Counts
}

// TableInfo is a table as -s Tables prints it.
type TableInfo struct {
	Name, Anchor string // Anchor is "" for the main ruleset's

	// The flags "cpairhC" of pfctl(8), -v -s Tables.
	Const, Persist, Active bool
	Loading                bool // "i": there is an inactive version, which a load of rules is filling
	Referenced             bool // by rules
	Hidden                 bool // by a table of the same name in an anchor
	CountersOn             bool // "C": each address has counters

	Addresses      int       // wrong on FreeBSD 15 after reloads: do not rely on it
	Cleared        time.Time // when its counting began
	NoMatch, Match uint64    // evaluations: packets that a rule looked up in the table
	Counts         Counts
}

// attribute reads "\tIn/Block:    [ Packets: 3 Bytes: 180 ]" into c. known is false for a line that it does not know.
func attribute(line []byte, c *Counts) (known bool) {
	name, rest, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return false
	}
	var f *Count
	switch string(name) {
	case "\tIn/Block":
		f = &c.InBlock
	case "\tIn/Match":
		f = &c.InMatch
	case "\tIn/Pass":
		f = &c.InPass
	case "\tIn/XPass":
		f = &c.InXPass
	case "\tOut/Block":
		f = &c.OutBlock
	case "\tOut/Match":
		f = &c.OutMatch
	case "\tOut/Pass":
		f = &c.OutPass
	case "\tOut/XPass":
		f = &c.OutXPass
	default:
		return false
	}
	p, b, ok := pair(rest, "Packets:", "Bytes:")
	if ok {
		f.Packets, f.Bytes = p, b
	}
	return ok
}

// pair reads " [ A: 3   B: 180   ]".
func pair(s []byte, a, b string) (x, y uint64, ok bool) {
	i, j := bytes.Index(s, []byte(a)), bytes.Index(s, []byte(b))
	if i < 0 || j < i {
		return 0, 0, false
	}
	first := bytes.TrimSpace(s[i+len(a) : j])
	second, _, ok := bytes.Cut(s[j+len(b):], []byte{']'})
	if !ok {
		return 0, 0, false
	}
	x, err1 := strconv.ParseUint(string(first), 10, 64)
	y, err2 := strconv.ParseUint(string(bytes.TrimSpace(second)), 10, 64)
	return x, y, err1 == nil && err2 == nil
}

// cleared reads "\tCleared:     Sun Nov 22 13:47:35 2026" (ctime(3) in UTC) or the number that newer OpenBSD falls back to.
func cleared(line []byte) (time.Time, bool) {
	rest, ok := bytes.CutPrefix(line, []byte("\tCleared:"))
	if !ok {
		return time.Time{}, false
	}
	s := strings.TrimSpace(string(rest))
	if t, err := time.ParseInLocation("Mon Jan _2 15:04:05 2006", s, time.UTC); err == nil {
		return t, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0).UTC(), err == nil
}

// entryLine reads "   192.0.2.7" or "  !192.0.2.0/24@em0".
func entryLine(line string) (p netip.Prefix, not, ok bool) {
	if len(line) < 5 || line[1] != ' ' || (line[2] != ' ' && line[2] != '!') {
		return p, false, false
	}
	s, _, _ := strings.Cut(line[3:], "@")
	if strings.IndexByte(s, '/') >= 0 {
		p, err := netip.ParsePrefix(s)
		return p, line[2] == '!', err == nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return p, false, false
	}
	return netip.PrefixFrom(a, a.BitLen()), line[2] == '!', true
}

// ParseShow reads the output of -T show, with or without -v, of every system. Attribute lines that it does not know are left out;
// skipped counts those and lines that are neither an address nor an attribute.
func ParseShow(out []byte) (list []AddrCounts, skipped int) {
	list = make([]AddrCounts, 0, min(bytes.Count(out, []byte("\n ")), len(out)/len("   192.0.2.7"))+1) // a restart reads very many
	text := string(out)                                                                                // once, not for each line
	for len(text) > 0 {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		switch {
		case len(line) == 0:
		case line[0] != '\t':
			p, not, ok := entryLine(line)
			if !ok {
				skipped++
				continue
			}
			list = append(list, AddrCounts{Prefix: p, Negated: not})
		case len(list) == 0:
			skipped++
		default:
			last := &list[len(list)-1]
			if attribute([]byte(line), &last.Counts) {
				continue
			}
			if t, ok := cleared([]byte(line)); ok {
				last.Cleared = t
				continue
			}
			skipped++
		}
	}
	return list, skipped
}

// ParseTables reads the output of -v or -vv -s Tables of every system.
func ParseTables(out []byte) (list []TableInfo, skipped int) {
	for len(out) > 0 {
		line, rest, _ := bytes.Cut(out, []byte{'\n'})
		out = rest
		switch {
		case len(line) == 0:
		case line[0] != '\t':
			t, ok := tableLine(string(line))
			if !ok {
				skipped++
				continue
			}
			list = append(list, t)
		case len(list) == 0:
			skipped++
		default:
			if !tableAttribute(line, &list[len(list)-1]) {
				skipped++
			}
		}
	}
	return list, skipped
}

func tableAttribute(line []byte, t *TableInfo) bool {
	if attribute(line, &t.Counts) {
		return true
	}
	if when, ok := cleared(line); ok {
		t.Cleared = when
		return true
	}
	if rest, ok := bytes.CutPrefix(line, []byte("\tAddresses:")); ok {
		n, err := strconv.Atoi(string(bytes.TrimSpace(rest)))
		t.Addresses = n
		return err == nil
	}
	if bytes.HasPrefix(line, []byte("\tEvaluations:")) {
		return evaluations(line, t)
	}
	return bytes.HasPrefix(line, []byte("\tReferences:"))
}

func evaluations(line []byte, t *TableInfo) bool {
	_, rest, ok := bytes.Cut(line, []byte("NoMatch:"))
	if !ok {
		return false
	}
	no, yes, ok := bytes.Cut(rest, []byte("Match:"))
	if !ok {
		return false
	}
	yes, _, _ = bytes.Cut(yes, []byte{']'})
	var err1, err2 error
	t.NoMatch, err1 = strconv.ParseUint(string(bytes.TrimSpace(no)), 10, 64)
	t.Match, err2 = strconv.ParseUint(string(bytes.TrimSpace(yes)), 10, 64)
	return err1 == nil && err2 == nil
}

// tableLine reads "-pa-r-C\tbanned@fw/svc" or "-pa-r-C\tbanned\tfw/svc".
func tableLine(s string) (TableInfo, bool) {
	flags, name, ok := strings.Cut(s, "\t")
	if !ok || len(flags) < 6 || len(flags) > 7 || name == "" || strings.Trim(flags, "-cpairhC") != "" {
		return TableInfo{}, false
	}
	t := TableInfo{Name: name}
	if i := strings.IndexAny(name, "\t@"); i >= 0 {
		t.Name, t.Anchor = name[:i], name[i+1:]
	}
	for i, on := range []*bool{&t.Const, &t.Persist, &t.Active, &t.Loading, &t.Referenced, &t.Hidden, &t.CountersOn} {
		if i < len(flags) {
			*on = flags[i] != '-'
		}
	}
	return t, t.Name != ""
}
