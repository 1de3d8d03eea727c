package pftest_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// machine is a PF with a clock of its own.
type machine struct {
	t   *testing.T
	pf  *pftest.PF
	now time.Time
}

func newMachine(t *testing.T, profile string) *machine {
	t.Helper()
	p, err := pftest.ProfileByName(profile)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, now: time.Date(2026, 11, 22, 13, 47, 35, 0, time.UTC)}
	m.pf = pftest.New(p, pftest.WithClock(func() time.Time { return m.now }))
	return m
}

// do runs one command. What follows " < " is its standard input, with ";" for line ends. The answer is its streams and, if it is not 0, its status.
func (m *machine) do(command string) string {
	m.t.Helper()
	if f := strings.Fields(command); f[0] == "pkt" || f[0] == "time" {
		return m.outside(f)
	}
	args, in, has := strings.Cut(command, " < ")
	c := pfctl.Command{Args: strings.Fields(args)}
	if has {
		c.Stdin = []byte(strings.ReplaceAll(in, ";", "\n") + "\n")
	}
	r, err := m.pf.Run(m.t.Context(), c)
	if err != nil {
		m.t.Fatalf("%s: %v", command, err)
	}
	s := string(r.Stdout) + string(r.Stderr)
	if r.Exit != 0 {
		s += fmt.Sprintf("rc=%d\n", r.Exit)
	}
	return s
}

func (m *machine) outside(f []string) string {
	if f[0] == "time" {
		d, err := time.ParseDuration(f[1])
		if err != nil {
			m.t.Fatal(err)
		}
		m.now = m.now.Add(d)
		return ""
	}
	pass, drop := m.pf.Packet(pftest.Packet{Out: f[1] == "out", Src: netip.MustParseAddr(f[2]), Dst: netip.MustParseAddr("203.0.113.1"), Proto: 6, SPort: 1000, DPort: 22, Length: 60, Flags: 2})
	return fmt.Sprintf("pass=%d drop=%d\n", pass, drop)
}

const (
	load    = "-a fw/svc -f - < table <banned> persist counters;block drop log quick from <banned> to any"
	plain   = "-a fw/svc -f - < table <banned> persist;block drop log quick from <banned> to any"
	begin   = "-q -e -f - < anchor \"fw/*\";pass all"
	b       = "-a fw/svc -t banned "
	zeroes  = "[ Packets: 0                  Bytes: 0                  ]\n"
	one     = "[ Packets: 1                  Bytes: 60                 ]\n"
	freebsd = "\tIn/Block:    " + one + "\tIn/Pass:     " + zeroes + "\tOut/Block:   " + zeroes + "\tOut/Pass:    " + zeroes
	openbsd = "\tIn/Block:    " + one + "\tIn/Match:    " + zeroes + "\tIn/Pass:     " + zeroes + "\tOut/Block:   " + zeroes + "\tOut/Match:   " + zeroes + "\tOut/Pass:    " + zeroes
	first   = "\tCleared:     Sun Nov 22 13:47:35 2026\n"
	altq    = "No ALTQ support in kernel\nALTQ related functions disabled\n"
	nothing = "\tIn/Block:    " + zeroes + "\tIn/Pass:     " + zeroes + "\tOut/Block:   " + zeroes + "\tOut/Pass:    " + zeroes
)

// TestFacts is the list of what is known about the systems' own programs, a row a fact. A step without " => " may answer anything.
func TestFacts(t *testing.T) {
	for _, c := range []struct {
		name, profiles string
		steps          []string
	}{
		{"counters appear with the first packet", "openbsd openbsd-old", []string{load, b + "-T add 192.0.2.10",
			b + "-v -T show =>    192.0.2.10\n" + first, "pkt in 192.0.2.10 => pass=0 drop=1\n", b + "-v -T show =>    192.0.2.10\n" + first + openbsd}},
		{"counters are always printed with the word", "freebsd12 freebsd15", []string{load, b + "-T add 192.0.2.10",
			b + "-v -T show =>    192.0.2.10\n" + first + nothing + altq, "pkt in 192.0.2.10", b + "-vv -T show =>    192.0.2.10\n" + first + freebsd + altq}},
		{"without the word only Cleared", "freebsd12", []string{plain, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", b + "-v -T show =>    192.0.2.10\n" + first + altq}},
		{"the word is not known", "netbsd macos", []string{load + " => stdin:1: invalid table option 'counters'"}},
		{"counters without the word", "netbsd", []string{plain, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", b + "-v -T show =>    192.0.2.10\n" + first + freebsd}},
		{"replace keeps the counters of what stays", "openbsd", []string{load, b + "-T add 192.0.2.10 192.0.2.11", "pkt in 192.0.2.10", "time 9s",
			b + "-T replace 192.0.2.10 192.0.2.12 => 1 addresses added.\n1 addresses deleted.\n", b + "-v -T show =>    192.0.2.10\n" + first + openbsd + "   192.0.2.12\n\tCleared:     Sun Nov 22 13:47:44 2026\n",
			b + "-T replace 192.0.2.10 192.0.2.12 => no changes.\n", b + "-T replace !192.0.2.10 192.0.2.12 => 1 addresses changed.\n"}},
		{"delete and add begin anew", "openbsd", []string{load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", "time 9s", b + "-T delete 192.0.2.10", b + "-T add 192.0.2.10",
			b + "-v -T show =>    192.0.2.10\n\tCleared:     Sun Nov 22 13:47:44 2026\n"}},
		{"adding again and loading again keep them", "openbsd", []string{load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", "time 9s", b + "-T add 192.0.2.10 => 0/1 addresses added.\n", load + " =>", begin,
			b + "-v -T show =>    192.0.2.10\n" + first + openbsd}},
		{"a load without the word: kept and shown", "openbsd", []string{load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", plain, "pkt in 192.0.2.10", b + "-v -T show =>    192.0.2.10\n" + first + openbsd}},
		{"a load without the word: hidden and back", "freebsd12", []string{load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", plain, b + "-v -T show =>    192.0.2.10\n" + first + altq, load, b + "-v -T show =>    192.0.2.10\n" + first + freebsd + altq}},
		{"a load without the word: freed", "freebsd15", []string{load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", plain, load, b + "-v -T show =>    192.0.2.10\n" + first + nothing + altq}},
		{"expire is strict", "openbsd freebsd12 netbsd", []string{plain, b + "-T add 192.0.2.10", "time 100s", b + "-T add 192.0.2.11", b + "-T expire 100 => 0/0 addresses expired.\n", "time 1s", b + "-T expire 100 => 1/1 addresses expired.\n", b + "-T show =>    192.0.2.11\n"}},
		{"adding again does not refresh", "openbsd", []string{plain, b + "-T add 192.0.2.10", "time 50s", b + "-T add 192.0.2.10", b + "-T expire 40 => 1/1 addresses expired.\n"}},
		{"zero moves Cleared", "openbsd", []string{load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", "time 9s", b + "-T zero => 1 table/stats cleared.\n", b + "-v -T show =>    192.0.2.10\n\tCleared:     Sun Nov 22 13:47:44 2026\n"}},
		{"zero with addresses", "openbsd freebsd15", []string{plain, b + "-T add 192.0.2.10", b + "-T zero 192.0.2.10 192.0.2.11 => 1/2 addresses cleared.\n"}},
		{"flush and kill", "openbsd", []string{load, b + "-T add 192.0.2.10 192.0.2.11", b + "-T flush => 2 addresses deleted.\n", b + "-T kill => 1 table deleted.\n", b + "-T kill => 0 table deleted.\n", b + "-T show => pfctl: Table does not exist\nrc=255\n",
			b + "-T add 192.0.2.10 => 1/1 addresses added.\n", "-a fw/svc -v -s Tables => -pa-r--\tbanned@fw/svc\n"}},
		{"a killed table comes back", "freebsd12", []string{load, b + "-T kill", b + "-T add 192.0.2.10 => 1 table created.\n1/1 addresses added.\n", "-a fw/svc -v -s Tables => -pa-r--\tbanned\tfw/svc\n" + altq}},
		{"flushing the anchor's tables", "openbsd", []string{load, b + "-T add 192.0.2.10", "-a fw/svc -F Tables => 1 tables deleted.\n", "pkt in 192.0.2.10 => pass=1 drop=0\n"}},
		{"flushing everything leaves anchors", "openbsd", []string{load, b + "-T add 192.0.2.10", "-F all", b + "-T show =>    192.0.2.10\n", "-a fw/svc -s rules => block drop log quick from <banned> to any\n", "pkt in 192.0.2.10 => pass=1 drop=0\n"}},
		{"flushing the anchor's rules leaves its tables", "freebsd12", []string{load, b + "-T add 192.0.2.10", "-a fw/svc -F rules => rules cleared\n", b + "-T show =>    192.0.2.10\n", "pkt in 192.0.2.10 => pass=1 drop=0\n"}},
		{"an anchor that is not called filters nothing", "openbsd freebsd12", []string{"-q -f - < pass all", load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10 => pass=1 drop=0\n"}},
		{"the longest prefix counts", "openbsd", []string{load, b + "-T add 10.0.0.0/8 10.1.0.0/16 !10.1.2.3", "pkt in 10.1.9.9 => pass=0 drop=1\n", "pkt in 10.1.2.3 => pass=1 drop=0\n", b + "-v -T show =>    10.0.0.0/8\n" + first + "   10.1.0.0/16\n" + first + openbsd + "  !10.1.2.3\n" + first}},
		{"a mapped address is another one", "openbsd", []string{load, b + "-T add ::ffff:192.0.2.10", "pkt in 192.0.2.10 => pass=1 drop=0\n"}},
		{"everything is taken", "openbsd", []string{load, b + "-T add 0.0.0.0/0 => 1/1 addresses added.\n", "pkt in 192.0.2.10 => pass=0 drop=1\n", b + "-T test 1.2.3.4 => 1/1 addresses match.\n"}},
		{"limit: replace fails whole", "openbsd", []string{"-q -f - < set limit table-entries 2;anchor \"fw/*\"", load, b + "-T add 192.0.2.1", b + "-T replace 192.0.2.2 192.0.2.3 => pfctl: Cannot allocate memory\nrc=255\n", b + "-T show =>    192.0.2.1\n"}},
		{"limit: add fails whole", "freebsd12", []string{"-q -f - < set limit table-entries 2;anchor \"fw/*\"", load, b + "-T add 192.0.2.1 192.0.2.2 192.0.2.3 => pfctl: Cannot allocate memory.\nrc=255\n", b + "-T show =>"}},
		{"table totals survive deletes", "freebsd12", []string{load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10", "pkt in 192.0.2.99", b + "-T delete 192.0.2.10",
			"-a fw/svc -vv -s Tables => -pa-r-C\tbanned\tfw/svc\n\tAddresses:   0\n" + first + "\tReferences:  [ Anchors: 0                  Rules: 1                  ]\n\tEvaluations: [ NoMatch: 1                  Match: 1                  ]\n" +
				"\tIn/Block:    " + one + "\tIn/Pass:     " + zeroes + "\tIn/XPass:    " + zeroes + "\tOut/Block:   " + zeroes + "\tOut/Pass:    " + zeroes + "\tOut/XPass:   " + zeroes + altq}},
		{"rule counters start again with a load", "openbsd", []string{load, "pkt in 192.0.2.10", "-a fw/svc -v -s rules => block drop log quick from <banned> to any\n  [ Evaluations: 1         Packets: 0         Bytes: 0           States: 0     ]\n  [ Inserted: uid 0 pid 4242 State Creations: 0     ]\n", load,
			"-a fw/svc -v -s rules => block drop log quick from <banned> to any\n  [ Evaluations: 0         Packets: 0         Bytes: 0           States: 0     ]\n  [ Inserted: uid 0 pid 4242 State Creations: 0     ]\n"}},
		{"switching on and off", "openbsd freebsd12", []string{"-e => pfctl: pf already enabled\nrc=1\n", "-d => pf disabled\n", "-d => pfctl: pf not enabled\nrc=1\n", load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10 => pass=1 drop=0\n"}},
		{"options end at the first address", "openbsd freebsd12", []string{load, b + "-T add 10.0.0.2 -f file => no IP address found for -f\nrc=255\n"}},
		{"running", "freebsd12", []string{"-s Running => Enabled\n", "-d", "-s Running => Disabled\nrc=1\n"}},
		{"states of both directions", "openbsd", []string{"pkt in 192.0.2.10 => pass=1 drop=0\n", load, b + "-T add 192.0.2.10", "pkt in 192.0.2.10 => pass=1 drop=0\n", "-k 192.0.2.10 => killed 1 states from 1 sources and 0 destinations\n", "pkt in 192.0.2.10 => pass=0 drop=1\n", "-k ::/0 -k 192.0.2.10 => killed 0 states from 1 sources and 0 destinations\n"}},
		{"states end by themselves", "openbsd", []string{"pkt in 192.0.2.10", "time 200s", "-s states =>"}},
		{"abbreviated words", "openbsd freebsd12", []string{load, b + "-T del 192.0.2.1 => 0/1 addresses deleted.\n", b + "-T fl => 0 addresses deleted.\n", "-s x => pfctl: Unknown"}},
	} {
		for profile := range strings.FieldsSeq(c.profiles) {
			t.Run(c.name+"/"+profile, func(t *testing.T) {
				m := newMachine(t, profile)
				m.do(begin)
				for _, s := range c.steps {
					command, want, ask := strings.Cut(s, " =>")
					want = strings.TrimPrefix(want, " ")
					if strings.HasPrefix(want, "  ") { // a table entry: three columns, of which Cut took none
						want = " " + strings.TrimPrefix(want, " ")
					}
					got := m.do(command)
					switch {
					case !ask:
					case strings.HasPrefix(want, "stdin:"), strings.HasPrefix(want, "pfctl: Unknown"):
						if !strings.Contains(got, want) {
							t.Errorf("%s\ngot  %q\nwant %q in it", command, got, want)
						}
					case got != want:
						t.Errorf("%s\ngot  %q\nwant %q", command, got, want)
					}
				}
			})
		}
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
