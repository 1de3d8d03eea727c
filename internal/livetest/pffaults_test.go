package livetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestFaults lets everything go wrong with PF that its stand-in can do, under the real daemon, as two processes and, where that may
// matter, as one. Each time health says what is wrong and what to do, on the page, in the metrics and in status; bans made meanwhile are kept;
// and when the fault goes away the bans are in the table and all is well.
func TestFaults(t *testing.T) {
	t.Parallel()
	programs := buildUnlessShort(t)
	cases := []pfFault{
		{"not root", "openbsd", fault("notroot"), "pf_rights", []string{"Permission denied", "run as root"}, (*gateway).noFaults},
		{"device busy to open", "freebsd12", fault("open:16"), "pf_runs", []string{"Device busy"}, (*gateway).noFaults},
		{"PF off", "openbsd-old", func(g *gateway) { g.standIn("-d") }, "pf_pf", []string{"disabled", "pfctl -e"}, func(g *gateway) { g.standIn("-e") }},
		{"busy once", "netbsd", func(g *gateway) { g.standIn("-a", "pfwarden", "-F", "Tables"); g.faults("busy:1") }, "", nil, (*gateway).noFaults},
		{"busy for long", "macos", func(g *gateway) { g.standIn("-a", "pfwarden", "-F", "Tables"); g.faults("busy") }, "pf_rules", []string{"busy"}, (*gateway).noFaults},
		{"hang", "freebsd15", fault("hang"), "pf_stuck", []string{"pfctl has been running for", "table <banned>", "none is lost"}, (*gateway).noFaults},
		{"killed half-way", "freebsd15", fault("killed"), "pf_stuck", []string{"killed"}, (*gateway).noFaults},
		{"table killed", "freebsd12", func(g *gateway) { g.standIn("-a", "pfwarden", "-t", "banned", "-T", "kill") }, "", nil, func(*gateway) {}},
		{"rules gone", "openbsd", func(g *gateway) { g.standIn("-a", "pfwarden", "-F", "rules") }, "", nil, func(*gateway) {}},
		{"everything flushed", "freebsd15", func(g *gateway) { g.standIn("-F", "all") }, "pf_anchor", []string{`anchor "pfwarden"`}, func(g *gateway) { g.load(callUs) }},
		{"anchor call missing", "macos", func(g *gateway) { g.load("pass all\n") }, "pf_anchor", []string{"nothing is filtered", `anchor "pfwarden"`}, func(g *gateway) { g.load(callUs) }},
		{"noise", "macos", fault("noise"), "", nil, (*gateway).noFaults},
		{"wrong Addresses", "freebsd15", fault("addresses"), "", nil, (*gateway).noFaults},
		{"limit", "freebsd12", fault("limit:1"), "pf_limit", []string{"set limit table-entries"}, fault("limit:200000")},
		{"limit seen in time", "openbsd", func(g *gateway) { g.faults("limit:1"); g.unwell("pf_limit") }, "pf_limit", []string{"set limit table-entries"}, fault("limit:200000")},
		{"add asleep at the limit", "openbsd", fault("limit:1"), "pf_stuck", []string{"pfctl has been running for"}, fault("limit:200000")},
		{"request cap", "freebsd12", fault("request:1"), "pf_tables", []string{"net.pf.request_maxcount"}, fault("request:65535")},
		{"no pfctl", "netbsd", func(g *gateway) { testkit.Must(g.t, os.Rename(g.pfctl, g.pfctl+".gone")) }, "pf_rights", []string{"pf.pfctl"}, func(g *gateway) { testkit.Must(g.t, os.Rename(g.pfctl+".gone", g.pfctl)) }},
	}
	alone := []string{"not root", "hang", "killed half-way", "no pfctl", "rules gone"} // what also runs as one process
	for _, shape := range []string{"one process", "two processes"} {
		for _, c := range cases {
			if (os.Getuid() == 0) == (shape == "one process") && !slices.Contains(alone, c.name) || shape == "two processes" && os.Getuid() != 0 {
				continue
			}
			t.Run(shape+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				g := programs.gateway(t, c.profile, callUs)
				g.ownPfctl()
				if shape == "one process" {
					g.more = []string{"--single-process"}
				}
				g.run("")
				c.check(t, g)
			})
		}
	}
}

// pfFault is a fault that PF can have.
type pfFault struct {
	name, profile string
	begin         func(*gateway)
	item          string   // of health that turns red; "" where healing is too fast for anybody to see
	says          []string // what health says of it
	end           func(*gateway)
}

// check bans one address before the fault and one while it lasts.
func (c pfFault) check(t *testing.T, g *gateway) {
	t.Helper()
	const kept, during = "198.51.100.7", "198.51.100.8"
	g.cli("ban", "--for", "1h", kept)
	testkit.Within(t, 5*time.Second, "the first ban is in the table", func() bool { return g.table("banned")[kept] })
	g.well()

	c.begin(g)
	// The ban is taken and kept whatever PF does; the command waits a moment for PF, and may say that it does not have it yet.
	ban := exec.Command(g.bin, "--socket", g.socket, "ban", "--for", "1h", during)
	var out bytes.Buffer
	ban.Stdout, ban.Stderr = &out, &out
	testkit.Must(t, ban.Start())
	if c.item != "" {
		said := g.unwell(c.item)
		for _, s := range c.says {
			if !strings.Contains(said, s) {
				t.Errorf("%s does not say %q: %s", c.item, s, said)
			}
		}
	}
	if err := ban.Wait(); err != nil && c.item == "" {
		t.Errorf("ban: %v\n%s", err, out.String())
	}
	t.Logf("ban says: %s", out.String())
	if b := g.bans(); b[kept].Table != "banned" || b[during].Table != "banned" {
		t.Errorf("bans are lost: %v", b)
	}

	c.end(g)
	testkit.Within(t, 30*time.Second, "both bans are in the table", func() bool { in := g.table("banned"); return in[kept] && in[during] })
	g.wellWithin(30 * time.Second)
	testkit.Within(t, 5*time.Second, "packets are filtered", func() bool { return strings.HasPrefix(g.cli("pf"), "Yes: ") })
	for _, a := range []string{kept, during} {
		if got := g.packets(a, 2); got != "pass=0 drop=2" {
			t.Errorf("after the fault PF lets %s through: %s", a, got)
		}
	}
}

// fault lets the stand-in have a fault.
func fault(text string) func(*gateway) { return func(g *gateway) { g.faults(text) } }

// noFaults ends the stand-in's faults.
func (g *gateway) noFaults() { g.faults("") }

// ownPfctl gives the gateway a stand-in of its own, so that it can be taken away.
func (g *gateway) ownPfctl() {
	g.t.Helper()
	own := filepath.Join(g.dir, "pfctl")
	testkit.Must(g.t, os.Link(g.pfctl, own))
	g.pfctl = own
}

// wellWithin waits until nothing is red any more.
func (g *gateway) wellWithin(d time.Duration) {
	g.t.Helper()
	var bad map[string]string
	testkit.Within(g.t, d, "all is well again", func() bool {
		var status int
		status, bad = g.healthz()
		return status == 200
	})
	if len(bad) > 0 {
		g.t.Errorf("red: %v", bad)
	}
}
