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
)

// firewall says how a fail2ban action of another packet filter is tried.
type firewall struct {
	jail, action string
	tool         string
	probe        []string // a command that fails where the kernel lacks what the action needs
	others       bool     // other ports stay open
	left         []string // shows what the action left when it was stopped
}

var firewalls = []firewall{
	{"ipt", `iptables-multiport[name=ipt, port="80,81"]`, "iptables",
		[]string{"iptables", "-w", "-I", "FORWARD", "-p", "tcp", "-m", "multiport", "--dports", "80", "-j", "REJECT"}, true, []string{"iptables", "-S"}},
	{"iptdrop", `iptables-multiport[name=iptdrop, port="80", blocktype=DROP]`, "iptables",
		[]string{"iptables", "-w", "-I", "FORWARD", "-p", "tcp", "-m", "multiport", "--dports", "80", "-j", "DROP"}, true, []string{"ip6tables", "-S"}},
	{"nftmulti", `nftables-multiport[name=nftmulti, port="80,81"]`, "nft",
		[]string{"nft", "add table inet pfwtest { set s { type ipv4_addr; }; chain c { type filter hook forward priority -1; tcp dport { 80 } ip saddr @s reject; }; }"}, true,
		[]string{"nft", "list", "ruleset"}},
	{"nftall", `nftables[type=allports, name=nftall, blocktype=drop]`, "nft",
		[]string{"nft", "add table inet pfwtest { set s { type ipv4_addr; }; chain c { type filter hook forward priority -1; meta l4proto { tcp } ip saddr @s drop; }; }"}, false,
		[]string{"nft", "list", "ruleset"}},
}

// TestFirewalls has jails of a fail2ban folder whose actions are Debian's for iptables and nftables, in a network namespace of the test's own:
// their bans stop real packets, of the banned address only, until they end.
func TestFirewalls(t *testing.T) {
	t.Parallel()
	programs := buildUnlessShort(t)
	for _, fw := range firewalls {
		t.Run(fw.jail, func(t *testing.T) {
			t.Parallel()
			testkit.Tool(t, fw.tool)
			n := newNetwork(t)
			if out, err := exec.Command("ip", in(n.server, fw.probe...)[1:]...).CombinedOutput(); err != nil {
				t.Skipf("this kernel lacks what %s needs: %v: %s", fw.action, err, out)
			}
			six := addIPv6(n)
			if !six {
				t.Log("no IPv6 here")
			}
			listenInside(t, n.server, 80)
			listenInside(t, n.server, 82)
			log := filepath.Join(t.TempDir(), "auth.log")
			testkit.Must(t, os.WriteFile(log, nil, 0o644))
			dir := fail2banFolder(t, map[string]string{
				"jail.local": fmt.Sprintf("[DEFAULT]\nignoreself = false\n[%s]\nenabled = true\nfilter = sshd\nbackend = polling\naction = %s\nlogpath = %s\n", fw.jail, fw.action, log),
			})
			g := programs.gateway(t, "openbsd", callUs)
			g.namespace, g.head = n.server, "never_defaults = false\n" // the attackers are in a connected network
			g.runFail2ban(dir, false)
			victims := [][2]string{{attacker(0), attacker(1)}}
			if six {
				victims = append(victims, [2]string{attacker6(0), attacker6(1)})
			}
			for _, v := range victims {
				bad, good := v[0], v[1]
				if !reaches(t, n, bad, 80) || !reaches(t, n, good, 80) {
					t.Fatalf("%s or %s does not reach the server before any ban", bad, good)
				}
				g.fail(log, bad)
				took := testkit.Within(t, 5*time.Second, bad+" is stopped", func() bool { return !reaches(t, n, bad, 80) })
				t.Logf("%s is stopped %v after its last failure", bad, took)
				if !reaches(t, n, good, 80) {
					t.Errorf("%s, innocent, is stopped too", good)
				}
				if got := reaches(t, n, bad, 82); got != fw.others {
					t.Errorf("%s reaches a port that is not the jail's: %v, want %v", bad, got, fw.others)
				}
			}
			for _, v := range victims {
				if out, err := g.client("set", fw.jail, "unbanip", v[0]); err != nil {
					t.Errorf("unbanip: %v\n%s", err, out)
				}
				testkit.Within(t, 5*time.Second, v[0]+" is let go", func() bool { return reaches(t, n, v[0], 80) })
			}
			g.fail(log, victims[0][0])
			testkit.Within(t, 5*time.Second, "banned again", func() bool { return !reaches(t, n, victims[0][0], 80) })
			// What somebody else takes away is put back with the next ban, for those banned before as well.
			command(t, in(n.server, "sh", "-c", "iptables -F; iptables -X; ip6tables -F; ip6tables -X; nft flush ruleset")...)
			testkit.Within(t, 5*time.Second, "nothing is stopped without rules", func() bool { return reaches(t, n, victims[0][0], 80) })
			g.fail(log, victims[0][1])
			testkit.Within(t, 5*time.Second, "the next one is stopped", func() bool { return !reaches(t, n, victims[0][1], 80) })
			testkit.Within(t, 5*time.Second, "the one before is stopped again", func() bool { return !reaches(t, n, victims[0][0], 80) })
			// A crash leaves the bans in force; the next run neither makes them twice nor forgets those that it ends.
			g.kill()
			if reaches(t, n, victims[0][0], 80) {
				t.Error("a crash lets a banned address go")
			}
			g.again()
			testkit.Within(t, 5*time.Second, "the bans stand after a crash", func() bool { return !reaches(t, n, victims[0][0], 80) && !reaches(t, n, victims[0][1], 80) })
			if out, err := g.client("set", fw.jail, "unbanip", victims[0][0]); err != nil {
				t.Errorf("unbanip: %v\n%s", err, out)
			}
			testkit.Within(t, 5*time.Second, "one is let go after a crash, and one stays stopped", func() bool {
				return reaches(t, n, victims[0][0], 80) && !reaches(t, n, victims[0][1], 80)
			})
			g.stop()
			if out := command(t, in(n.server, fw.left...)...); strings.Contains(out, "f2b") {
				t.Errorf("stopping left:\n%s", out)
			}
			if !reaches(t, n, victims[0][1], 80) {
				t.Error("still stopped after the stop")
			}
		})
	}
}
