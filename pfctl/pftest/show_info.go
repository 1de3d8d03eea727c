package pftest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// title begins a part of -s all.
func (c *call) title(s string) {
	if c.titled {
		c.out.WriteByte('\n')
	}
	c.titled = true
	c.out.WriteString(s + "\n")
}

// showAll is -s all.
func (c *call) showAll() error {
	pf := c.pf
	if pf.exists(c.o.anchor) {
		c.title("FILTER RULES:")
	}
	c.showRules(c.o.anchor, 0, false)
	if len(pf.states) > 0 {
		c.title("STATES:")
		c.showStates()
	}
	c.title("INFO:")
	c.showInfo()
	if c.hasLabels() {
		c.title("LABEL COUNTERS:")
		c.showLabels()
	}
	c.title("TIMEOUTS:")
	c.showTimeouts()
	c.title("LIMITS:")
	c.showLimits()
	if rs := pf.sets[trimAnchor(c.o.anchor)]; rs != nil && len(rs.tables) > 0 {
		c.title("TABLES:")
	}
	if err := c.showTables(); err != nil {
		return err
	}
	c.title("OS FINGERPRINTS:")
	c.out.WriteString("0 fingerprints loaded\n")
	return nil
}

// reasons are the counters of -s info, which say why packets were looked at closer or dropped. Only "match" and "memory" count here.
func (p Profile) reasons() []string {
	out := []string{"match", "bad-offset", "fragment", "short", "normalize", "memory", "bad-timestamp", "congestion", "ip-option",
		"proto-cksum", "state-mismatch", "state-insert", "state-limit", "src-limit", "synproxy"}
	switch p.Name {
	case "openbsd", "openbsd-old":
		out = append(out, "translate", "no-route")
	case "freebsd12":
		out = append(out, "map-failed")
	case "freebsd15":
		out = append(out, "map-failed", "translate")
	}
	return out
}

func (c *call) showInfo() {
	pf := c.pf
	status := "Status: Disabled"
	age := time.Duration(0)
	if pf.statusSince != 0 {
		word := "Disabled"
		if pf.enabled {
			word = "Enabled"
		}
		age = pf.now().Sub(time.Unix(0, pf.statusSince)) / time.Second
		status = fmt.Sprintf("Status: %s for %d days %02d:%02d:%02d", word, age/86400, age/3600%24, age/60%60, age%60)
	}
	level := "err"
	if !pf.prof.OpenBSD {
		level = "Urgent"
	}
	fmt.Fprintf(&c.out, "%-44s%15s\n\n", status, "Debug: "+level)
	if c.o.verbose > 0 {
		fmt.Fprintf(&c.out, "Hostid:   0x%08x\nChecksum: 0x%s\n\n", hostID, strings.Repeat("0", 32))
	}
	line := func(name string, n uint64) {
		rate := ""
		if age > 0 {
			rate = fmt.Sprintf("%.1f/s", float64(n)/float64(age))
			fmt.Fprintf(&c.out, "  %-25s %14d %16s\n", name, n, rate)
			return
		}
		fmt.Fprintf(&c.out, "  %-25s %14d %14s\n", name, n, rate)
	}
	fmt.Fprintf(&c.out, "%-27s %14s %16s\n", "State Table", "Total", "Rate")
	fmt.Fprintf(&c.out, "  %-25s %14d %14s\n", "current entries", len(pf.states), "")
	if pf.prof.OpenBSD {
		half := 0
		for _, s := range pf.states {
			if s.Proto == 6 && min(s.SrcState, s.DstState) < tcpEstablished && max(s.SrcState, s.DstState) >= tcpSynSent {
				half++
			}
		}
		fmt.Fprintf(&c.out, "  %-25s %14d %14s\n", "half-open tcp", half, "")
	}
	line("searches", pf.info.Searches)
	line("inserts", pf.info.Inserts)
	line("removals", pf.info.Removals)
	if c.o.verbose > 0 {
		fmt.Fprintf(&c.out, "Source Tracking Table\n  %-25s %14d %14s\n", "current entries", 0, "")
		for _, s := range []string{"searches", "inserts", "removals"} {
			line(s, 0)
		}
	}
	c.out.WriteString("Counters\n")
	for _, r := range pf.prof.reasons() {
		n := uint64(0)
		switch r {
		case "match":
			n = pf.info.Match
		case "memory":
			n = pf.info.Memory
		}
		line(r, n)
	}
	if c.o.verbose > 0 {
		c.out.WriteString("Limit Counters\n")
		for _, s := range []string{
			"max states per rule", "max-src-states", "max-src-nodes", "max-src-conn", "max-src-conn-rate", "overload table insertion",
			"overload flush states",
		} {
			line(s, 0)
		}
		if pf.prof.Name == "openbsd" || pf.prof.Name == "openbsd-old" {
			fmt.Fprintf(&c.out, "Adaptive Syncookies Watermarks\n  %-25s %14d states\n  %-25s %14d states\n", "start", 25000, "end", 12500)
		}
	}
}

// hostID is what states carry as their creator.
const hostID = 1

// showTimeouts is -s timeouts: the defaults, since nothing here changes them.
func (c *call) showTimeouts() {
	p := c.pf.prof
	lines := []struct {
		name    string
		seconds int
	}{{"tcp.first", 120}, {"tcp.opening", 30}, {"tcp.established", 86400}, {"tcp.closing", 900}, {"tcp.finwait", 45}, {"tcp.closed", 90}, {"tcp.tsdiff", 30},
		{"udp.first", 60}, {"udp.single", 30}, {"udp.multiple", 60}, {"icmp.first", 20}, {"icmp.error", 10},
		{"other.first", 60}, {"other.single", 30}, {"other.multiple", 60}, {"frag", 30}, {"interval", 10}}
	if p.Name == "freebsd15" {
		sctp := lines[:5:5]
		for i, n := range []string{"sctp.first", "sctp.opening", "sctp.established", "sctp.closing"} {
			sctp[i].name = n
		}
		lines = slices.Insert(lines, 7, sctp[0], sctp[1], sctp[2], sctp[3])
		for i, n := range []string{"tcp.first", "tcp.opening", "tcp.established", "tcp.closing"} {
			lines[i].name = n
		}
	}
	for _, l := range lines {
		if l.name == "frag" && p.OpenBSD {
			l.seconds = 60
		}
		fmt.Fprintf(&c.out, "%-20s %10ds\n", l.name, l.seconds)
	}
	states := c.pf.limitOf("states")
	fmt.Fprintf(&c.out, "%-20s %10d states\n%-20s %10d states\n%-20s %10ds\n", "adaptive.start", states/10*6, "adaptive.end", states/10*12, "src.track", 0)
}

func (c *call) showLimits() {
	for _, l := range c.pf.prof.Limits {
		fmt.Fprintf(&c.out, "%-13s hard limit %8d\n", l.Name, c.pf.limitOf(l.Name))
	}
}

// showInterfaces is -s Interfaces: the machine's, their groups, and "all".
func (c *call) showInterfaces() {
	names := []string{"all"}
	for _, i := range c.pf.ifs {
		names = append(names, i.Name, strings.TrimRight(i.Name, "0123456789"))
		if i.Name != "lo0" {
			names = append(names, "egress")
		}
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		if c.o.iface == "" || c.o.iface == n {
			c.out.WriteString(n + "\n")
		}
	}
}
