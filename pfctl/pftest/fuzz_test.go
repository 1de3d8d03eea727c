package pftest_test

import (
	"strings"
	"testing"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// FuzzRun gives any arguments and any input to each system's stand-in: it answers, and never panics.
func FuzzRun(f *testing.F) {
	f.Add("-a fw/svc -f -", []byte("table <banned> persist counters\nblock drop log quick from <banned> to any\n"), uint8(0))
	f.Add("-a fw/svc -t banned -vv -T replace -f -", []byte("1.2.3.4 !::1 10/8 weight 3 # x\n"), uint8(2))
	f.Add("-f -", []byte("x = \"{ 1.2.3.4, 5.6.7.8 }\"\nanchor \"a/*\" in on em0 { block from $x to <t> port { 22 1:5 }\n}\npass out quick inet6 proto { tcp udp } from any port > 3 to ::1 flags any keep state (max 3) label \"l\"\n"), uint8(0))
	f.Add("-f -", []byte("anchor \"/\"\nanchor \"*\"\nanchor \"/*\"\n"), uint8(0))
	f.Add("-a * -s r", []byte("anchor \"/\"\n"), uint8(0))
	f.Add("-s a -vv -k 1.2.3.4/8 -K ::1 -F all -z -d -e", []byte{}, uint8(3))
	f.Fuzz(func(t *testing.T, args string, stdin []byte, which uint8) {
		names := pftest.Profiles()
		p, err := pftest.ProfileByName(names[int(which)%len(names)])
		if err != nil {
			t.Fatal(err)
		}
		pf := pftest.New(p)
		for _, c := range []pfctl.Command{{Args: []string{"-e", "-f", "-"}, Stdin: []byte("anchor \"fw/*\"\n")},
			{Args: []string{"-a", "fw/svc", "-t", "banned", "-T", "add", "192.0.2.1"}}, {Args: words(args), Stdin: stdin}, {Args: []string{"-vv", "-g", "-s", "all"}}} {
			r, err := pf.Run(t.Context(), c)
			if err != nil {
				t.Skip("waits for ever")
			}
			if r.Exit < 0 || r.Exit > 255 {
				t.Errorf("%v: exit %d", c.Args, r.Exit)
			}
		}
		pf.Packet(pftest.Packet{Src: addr("192.0.2.1"), Dst: addr("203.0.113.1"), Proto: 6, DPort: 22, Length: 60, Flags: 2})
	})
}

// words splits arguments, and leaves out those that would make pfctl read files of this machine.
func words(s string) []string {
	var out []string
	for _, w := range strings.Fields(s) {
		if strings.HasPrefix(w, "/") || strings.Contains(w, "..") {
			continue
		}
		out = append(out, w)
	}
	return out
}
