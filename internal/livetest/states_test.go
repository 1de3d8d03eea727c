package livetest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestStates scans from two hosts; with one of them our side has a connection.
func TestStates(t *testing.T) {
	t.Parallel()
	eachProfile(t, callUs, func(t *testing.T, g *gateway) {
		const friend, stranger = "198.51.100.21", "198.51.100.22"
		g.packet("out 4 " + serverAddress + " " + friend + " 6 40000 443 60 2 1")
		g.run("")
		// The states are read at the start, beside everything else.
		testkit.Within(t, 5*time.Second, "the states were read", func() bool {
			return g.metric(`pfwarden_pfctl_runs_total{operation="show-states"}`) >= 1
		})
		ports := []uint16{21, 22, 23, 25, 80, 110, 143, 443, 8080}
		g.scan(friend, ports...)
		g.scan(stranger, ports...)
		testkit.Within(t, 3*time.Second, "the stranger is a suspect", func() bool { return g.table("suspects")[stranger] })
		if g.table("suspects")[friend] {
			t.Error("a host that our side talks to was banned for what anybody can forge")
		}
		if text := g.cli("explain", friend); !strings.Contains(text, "our side has a connection") {
			t.Errorf("explain does not say why not:\n%s", text)
		}
	})
}

// TestLastCounters looks at what is known of a ban after its end, and at a proven ban that is still hit when it ends.
func TestLastCounters(t *testing.T) {
	t.Parallel()
	g := buildUnlessShort(t).gateway(t, "openbsd", callUs)
	log, jail := g.authLog()
	g.run("[defaults]\nladder = [\"12s\", \"1h\"]\n[portscan]\nban = \"12s\"\n" + jail + "prolong = true\n")
	const hit, quiet, suspect = "198.51.100.31", "198.51.100.32", "198.51.100.33"
	failures(t, log, hit, 5)
	failures(t, log, quiet, 5)
	g.scan(suspect, 21, 22, 23, 25, 80, 110, 143, 443)
	testkit.Within(t, 3*time.Second, "all three are banned", func() bool {
		return g.table("banned")[hit] && g.table("banned")[quiet] && g.table("suspects")[suspect]
	})
	g.packets(quiet, 3)
	g.packets(suspect, 5)
	// Counted as having been hit at the last reading before now; the other goes on being hit until its end.
	testkit.Within(t, 2*time.Second, "the hits are counted", func() bool { return g.bans()[quiet].Packets == 3 })
	hits := 0
	testkit.Within(t, 30*time.Second, "the others' bans end", func() bool {
		g.packets(hit, 1)
		g.packets(suspect, 1)
		hits++
		return !g.table("suspects")[suspect]
	})
	testkit.Within(t, 3*time.Second, "the hit one's ban goes on", func() bool {
		return strings.Contains(g.scrape(), `pfwarden_bans_prolonged_total{jail="sshd"} 1`) || g.metric(`pfwarden_bans_prolonged_total{jail="sshd"}`) > 1
	})
	if !g.table("banned")[hit] {
		t.Error("a proven ban that is still hit ended")
	}
	g.cli("unban", hit)
	for _, a := range []string{hit, suspect} {
		var x struct {
			Story []string
			Bans  []struct {
				Packets uint64
				Ended   *time.Time
			}
		}
		testkit.Must(t, json.Unmarshal([]byte(g.cli("explain", "-o", "json", a)), &x))
		if len(x.Bans) != 1 || x.Bans[0].Ended == nil || x.Bans[0].Packets < uint64(hits)/2 || x.Bans[0].Packets == 0 {
			t.Errorf("%s: after its end %+v, after %d hits", a, x.Bans, hits)
		}
		if story := strings.Join(x.Story, "\n"); !strings.Contains(story, "this ban stopped ") || !strings.Contains(story, " ago") && !strings.Contains(story, "just now") {
			t.Errorf("%s: the story is\n%s", a, story)
		}
	}
}
