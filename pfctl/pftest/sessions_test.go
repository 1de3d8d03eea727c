package pftest_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit/golden"
	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// TestSessions runs the commands of testdata/sessions/*.in through the stand-in of each system and compares all that it prints with
// NAME.PROFILE. The answers were checked against each system's pfctl.c, pfctl_table.c, pfctl_parser.c, parse.y and pf_table.c.
//
// A line is a command line of pfctl, with its standard input after " < " (";" ends a line of it), or "pkt …" and "time …" as
// pfpkt takes them, or "# …". Words in single quotes are one argument.
func TestSessions(t *testing.T) {
	ins, err := filepath.Glob("testdata/sessions/*.in")
	if err != nil || len(ins) == 0 {
		t.Fatalf("%d sessions, %v", len(ins), err)
	}
	for _, in := range ins {
		script, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, profile := range pftest.Profiles() {
			name := strings.TrimSuffix(in, ".in") + "." + profile
			t.Run(filepath.Base(name), func(t *testing.T) {
				m := newMachine(t, profile)
				var b strings.Builder
				for line := range strings.Lines(string(script)) {
					b.WriteString(m.session(strings.TrimSuffix(line, "\n")))
				}
				golden.Check(t, name, b.String())
			})
		}
	}
}

// session does one line and prints it and its answer as the recorded sessions do.
func (m *machine) session(line string) string {
	m.t.Helper()
	f := strings.Fields(line)
	switch {
	case len(f) == 0, f[0] == "#":
		return line + "\n"
	case f[0] == "time":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			m.t.Fatal(err)
		}
		m.now = m.now.Add(d)
		return line + "\n"
	case f[0] == "pkt": // pkt in|out SRC DST PROTO SPORT DPORT LENGTH FLAGS COUNT
		var n [6]int
		for i := range n {
			v, err := strconv.Atoi(f[4+i])
			if err != nil {
				m.t.Fatalf("%s: %v", line, err)
			}
			n[i] = v
		}
		pass, drop := m.pf.Packet(pftest.Packet{Out: f[1] == "out", Src: netip.MustParseAddr(f[2]), Dst: netip.MustParseAddr(f[3]),
			Proto: n[0], SPort: uint16(n[1]), DPort: uint16(n[2]), Length: n[3], Flags: n[4], Count: n[5]})
		return fmt.Sprintf("%s\npass=%d drop=%d\n", line, pass, drop)
	}
	args, in, has := strings.Cut(line, " < ")
	c := pfctl.Command{Args: quoted(args)}
	if has {
		c.Stdin = []byte(strings.ReplaceAll(in, ";", "\n") + "\n")
	}
	r, err := m.pf.Run(m.t.Context(), c)
	if err != nil {
		m.t.Fatalf("%s: %v", line, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "$ pfctl %s\n", line)
	for _, s := range []struct{ mark, text string }{{"1> ", string(r.Stdout)}, {"2> ", string(r.Stderr)}} {
		for l := range strings.Lines(s.text) {
			if !strings.HasPrefix(l, "usage:") && !strings.HasPrefix(l, "\t[") {
				b.WriteString(s.mark + strings.TrimSuffix(l, "\n") + "\n")
			}
		}
	}
	fmt.Fprintf(&b, "rc=%d\n", r.Exit)
	return b.String()
}

// quoted splits a line into words; those in single quotes stay together.
func quoted(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}
