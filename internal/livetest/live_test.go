package livetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestLive is pfwarden as a user runs it: a real httpd and a real sshd attacked over a real network, and a pflog file that grows.
func TestLive(t *testing.T) {
	t.Parallel()
	programs := buildUnlessShort(t)
	n := newNetwork(t)
	testkit.Tool(t, "curl")
	errorLog, authLog := apache(t, n, modernLog), sshd(t, n)
	g := programs.gateway(t, "openbsd", callUs)
	g.pf = "" // looks at PF as seldom as a user's
	g.run(fmt.Sprintf(`[defaults]
maxretry = 5
ladder = ["15s", "1h"]
[portscan]
ban = "15s"
[jail.sshd]
logs = [%q]
[jail.httpd-auth]
logs = [%q]
[jail.httpd-noscript]
enabled = false
[jail.httpd-overflows]
enabled = false
[jail.httpd-probes]
enabled = false
`, authLog, errorLog))

	t.Run("httpd", func(t *testing.T) {
		for range 5 {
			if got := request(n, attacker(0), "/priv/", "bob:wrong"); got != 401 {
				t.Fatalf("status %d, want 401", got)
			}
		}
		took := testkit.Within(t, time.Second, "the guesser is in the table", func() bool { return g.table("banned")[attacker(0)] })
		t.Logf("in the table %v after the last answer", took)
	})
	t.Run("sshd", func(t *testing.T) {
		for range 5 {
			guess(t, n, attacker(1), "root")
		}
		testkit.Within(t, time.Second, "the guesser is in the table", func() bool { return g.table("banned")[attacker(1)] })
	})
	t.Run("scan", func(t *testing.T) {
		g.scan(attacker(2), 21, 22, 23, 25, 80, 110, 143, 443)
		testkit.Within(t, 2*time.Second, "the scanner is a suspect", func() bool { return g.table("suspects")[attacker(2)] })
	})
	t.Run("half and half", func(t *testing.T) {
		g.scan(attacker(3), 1001, 1002, 1003, 1004)
		for range 3 {
			guess(t, n, attacker(3), "admin")
		}
		testkit.Within(t, 2*time.Second, "the sum of both is a ban", func() bool { return g.table("suspects")[attacker(3)] })
		b := g.bans()[attacker(3)]
		if b.Table != "suspects" || b.Proven || !strings.Contains(b.Reason, "portscan") || !strings.Contains(b.Reason, "sshd") {
			t.Errorf("the ban does not say what it rests on: %+v", b)
		}
	})
	t.Run("counters", func(t *testing.T) {
		g.cli("ban", "--for", "1h", "--reason", "test", attacker(4))
		if got := g.packets(attacker(4), 7); got != "pass=0 drop=7" {
			t.Errorf("PF lets a banned address through: %s", got)
		}
		if b := g.bans()[attacker(4)]; b.Packets != 7 {
			t.Errorf("bans shows %d packets, want 7", b.Packets)
		}
		want := fmt.Sprintf(`pfwarden_pf_address_packets_total{action="block",address=%q,direction="in",table="banned"} 7`, attacker(4))
		testkit.Within(t, 2*time.Second, "metrics show the counter", func() bool { return strings.Contains(g.scrape(), want) })
		if s := g.cli("status"); !strings.Contains(s, "banned") {
			t.Errorf("status:\n%s", s)
		}
	})
	t.Run("expiry", func(t *testing.T) {
		testkit.Within(t, 30*time.Second, "bans of 15 s end", func() bool { return !g.table("banned")[attacker(0)] && !g.table("suspects")[attacker(2)] })
	})
	t.Run("unban", func(t *testing.T) {
		g.cli("unban", attacker(4))
		if g.table("banned")[attacker(4)] {
			t.Error("still in the table after unban")
		}
	})
}
