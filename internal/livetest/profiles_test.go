package livetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
	"pfwarden/pfctl/pftest"
)

// eachProfile runs a test over the PF of every system, with a main ruleset.
func eachProfile(t *testing.T, main string, test func(t *testing.T, g *gateway)) {
	t.Helper()
	programs := buildUnlessShort(t)
	for _, profile := range pftest.Profiles() {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			test(t, programs.gateway(t, profile, main))
		})
	}
}

// Hosts of TestProfiles: one guesses passwords from the beginning, one much later, and one is put into the table by hand.
const (
	guesser     = "198.51.100.9"
	lateGuesser = "198.51.100.10"
	foreign     = "203.0.113.99"
)

// TestProfiles runs pfwarden over the PF of every system as a user would.
func TestProfiles(t *testing.T) {
	t.Parallel()
	eachProfile(t, callUs, func(t *testing.T, g *gateway) {
		log, jail := g.authLog()
		g.run(jail)
		failures(t, log, guesser, 5)
		testkit.Within(t, 2*time.Second, "the guesser is in the table", func() bool { return g.table("banned")[guesser] })
		g.well()

		stopsAndCounts(t, g)
		flushedTablesComeBack(t, g)
		healthSaysWhatToDo(t, g)

		g.standIn("-a", "pfwarden", "-t", "banned", "-T", "add", foreign)
		testkit.Within(t, 10*time.Second, "the entry of somebody else is shown", func() bool {
			return g.metric(`pfwarden_pf_foreign_addresses{table="banned"}`) == 1
		})
		if !strings.Contains(g.cli("pf"), foreign) {
			t.Error("pf does not show the entry of somebody else")
		}
		restartKeepsAll(t, g)

		failures(t, log, lateGuesser, 5)
		testkit.Within(t, 2*time.Second, "the next guesser is in the table", func() bool { return g.table("banned")[lateGuesser] })
		g.cli("unban", guesser)
		if g.table("banned")[guesser] {
			t.Error("still in the table after unban")
		}
		g.stop()

		g.pf = "reconcile = \"1s\"\nkeep_on_stop = false\nforeign = \"remove\""
		g.run(jail)
		if in := g.table("banned"); in[foreign] || !in[lateGuesser] {
			t.Errorf("with foreign = remove the table is %v", in)
		}
		g.stop()
		if in := g.table("banned"); len(in) != 0 {
			t.Errorf("keep_on_stop = false leaves %v", in)
		}
		if got := g.packets(lateGuesser, 1); got != "pass=1 drop=0" {
			t.Errorf("after flushing PF still stops: %s", got)
		}
	})
}

// stopsAndCounts: PF stops the guesser's packets alone, and all that shows their number shows the same.
func stopsAndCounts(t *testing.T, g *gateway) {
	t.Helper()
	if got := g.packets(guesser, 7); got != "pass=0 drop=7" {
		t.Errorf("PF lets a banned address through: %s", got)
	}
	if got := g.packets(lateGuesser, 3); got != "pass=3 drop=0" {
		t.Errorf("PF stops an address that is not banned: %s", got)
	}
	series := fmt.Sprintf(`pfwarden_pf_address_packets_total{action="block",address=%q,direction="in",table="banned"}`, guesser)
	testkit.Within(t, 2*time.Second, "the metrics equal PF's counters", func() bool {
		return g.metric(series) == 7 && g.counted("banned", guesser) == "7"
	})
	if b := g.bans()[guesser]; b.Packets != 7 || b.Table != "banned" || b.Jail != "sshd" || !b.Proven {
		t.Errorf("bans shows %+v", b)
	}
	if text := g.cli("pf"); !strings.HasPrefix(text, "Yes: ") {
		t.Errorf("pf:\n%s", text)
	}
}

// flushedTablesComeBack: what somebody flushed is filled again, and the ban's count goes on.
func flushedTablesComeBack(t *testing.T, g *gateway) {
	t.Helper()
	g.standIn("-a", "pfwarden", "-F", "Tables")
	testkit.Within(t, 10*time.Second, "flushed tables are back", func() bool {
		return g.table("banned")[guesser] && g.metric(`pfwarden_pf_resyncs_total{cause="table"}`) >= 1
	})
	if got := g.packets(guesser, 2); got != "pass=0 drop=2" {
		t.Errorf("after the repair PF lets a banned address through: %s", got)
	}
	testkit.Within(t, 5*time.Second, "the ban's count goes on", func() bool { return g.bans()[guesser].Packets == 9 })
}

// healthSaysWhatToDo: where nothing is filtered, health and the verb pf say why, and how to mend it.
func healthSaysWhatToDo(t *testing.T, g *gateway) {
	t.Helper()
	g.load("pass all\n")
	if said := g.unwell("pf_anchor"); !strings.Contains(said, `anchor "pfwarden"`) {
		t.Errorf("health does not say which line to add: %s", said)
	}
	if text := g.cli("pf"); !strings.HasPrefix(text, "No: ") || !strings.Contains(text, `anchor "pfwarden"`) {
		t.Errorf("pf:\n%s", text)
	}
	if rules := g.standIn("-s", "rules"); strings.Contains(rules, "pfwarden") {
		t.Errorf("the main ruleset was changed:\n%s", rules)
	}
	g.load("pass quick all\n" + callUs)
	if said := g.unwell("pf_anchor"); !strings.Contains(said, "quick") {
		t.Errorf("health does not say why the anchor is never reached: %s", said)
	}
	g.load(callUs)
	g.well()
	g.standIn("-d")
	if said := g.unwell("pf_pf"); !strings.Contains(said, "pfctl -e") {
		t.Errorf("health does not say what to do: %s", said)
	}
	if text := g.cli("pf"); !strings.HasPrefix(text, "No: pf is disabled") {
		t.Errorf("pf:\n%s", text)
	}
	g.standIn("-e")
	g.well()
}

// restartKeepsAll: PF goes on filtering without pfwarden, and what it counted meanwhile counts.
func restartKeepsAll(t *testing.T, g *gateway) {
	t.Helper()
	g.stop()
	if in := g.table("banned"); !in[guesser] || !in[foreign] {
		t.Errorf("stopping changed the table: %v", in)
	}
	if got := g.packets(guesser, 1); got != "pass=0 drop=1" {
		t.Errorf("without pfwarden PF lets a banned address through: %s", got)
	}
	g.again()
	if b := g.bans()[guesser]; b.Packets != 10 {
		t.Errorf("after a restart the ban has %d packets, want 10", b.Packets)
	}
	if !g.table("banned")[foreign] {
		t.Error("the entry of somebody else is gone")
	}
}

// TestNotRoot begins without the rights to change PF: the ban made meanwhile is in the table when they are there.
func TestNotRoot(t *testing.T) {
	t.Parallel()
	g := buildUnlessShort(t).gateway(t, "openbsd", callUs)
	g.faults("notroot")
	g.run("")
	g.unwell("pf_rights")
	g.faults("")
	g.cli("ban", "--for", "1h", "198.51.100.9")
	g.well()
	testkit.Within(t, 10*time.Second, "the ban is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
}

// TestNoPF runs where the kernel has no PF.
func TestNoPF(t *testing.T) {
	t.Parallel()
	g := buildUnlessShort(t).gateway(t, "freebsd15", callUs)
	g.env = append(g.env, "PFTEST_OPEN_ERRNO=2")
	g.run("")
	g.unwell("pf_rights")
	if out, err := exec.Command(g.bin, "--socket", g.socket, "pf").CombinedOutput(); err == nil || !strings.Contains(string(out), "No such file") {
		t.Errorf("pf: %v\n%s", err, out)
	}
}

// TestRulesFile runs over the anchor and the one table of an administrator who came from fail2ban.
func TestRulesFile(t *testing.T) {
	t.Parallel()
	eachProfile(t, "anchor \"fail2ban\"\npass all\n", func(t *testing.T, g *gateway) {
		rules := filepath.Join(g.dir, "rules")
		testkit.Must(t, os.WriteFile(rules, []byte("table <fail2ban> persist\nblock drop in quick from <fail2ban> to any"), 0o600))
		g.pf = fmt.Sprintf("reconcile = \"1s\"\nanchor = \"fail2ban\"\nbanned = \"fail2ban\"\nrules_file = %q", rules)
		g.run("")
		g.cli("ban", "--for", "1h", "198.51.100.9")
		if got := g.packets("198.51.100.9", 4); got != "pass=0 drop=4" {
			t.Errorf("PF lets a banned address through: %s", got)
		}
		g.scan("198.51.100.11", 21, 22, 23, 25, 80, 110, 143, 443)
		testkit.Within(t, 3*time.Second, "the scanner is in the same table", func() bool {
			return strings.Contains(g.standIn("-a", "fail2ban", "-t", "fail2ban", "-T", "show"), "198.51.100.11\n")
		})
		g.cli("unban", "198.51.100.9")
		if text := g.standIn("-a", "fail2ban", "-t", "fail2ban", "-T", "show"); strings.Contains(text, "198.51.100.9\n") || !strings.Contains(text, "198.51.100.11\n") {
			t.Errorf("after unban the table holds\n%s", text)
		}
		g.well()
		g.standIn("-a", "fail2ban", "-F", "Tables")
		testkit.Within(t, 10*time.Second, "the table is back", func() bool {
			return strings.Contains(g.standIn("-a", "fail2ban", "-t", "fail2ban", "-T", "show"), "198.51.100.11\n")
		})
	})
}

// TestPorts has a jail whose bans are for its ports alone.
func TestPorts(t *testing.T) {
	t.Parallel()
	eachProfile(t, callUs, func(t *testing.T, g *gateway) {
		log, jail := g.authLog()
		g.run(jail + "ports = [22, 2222]\n")
		const bad = "198.51.100.9"
		failures(t, log, bad, 5)
		testkit.Within(t, 2*time.Second, "the guesser is in the jail's table", func() bool { return g.table("ports-sshd")[bad] })
		for port, want := range map[int]string{22: "pass=0 drop=3", 2222: "pass=0 drop=3", 80: "pass=3 drop=0"} {
			if got := g.packetsTo(port, bad, 3); got != want {
				t.Errorf("port %d: %s, want %s", port, got, want)
			}
		}
		if b := g.bans()[bad]; b.Table != "ports-sshd" || b.Packets != 6 {
			t.Errorf("bans shows %+v", b)
		}
		g.stop()
		g.again()
		if b := g.bans()[bad]; b.Packets != 6 || !g.table("ports-sshd")[bad] {
			t.Errorf("after a restart: %+v", b)
		}
		g.cli("unban", bad)
		if g.table("ports-sshd")[bad] {
			t.Error("still in the table after unban")
		}
	})
}
