package livetest

import (
	"os"
	"strings"
	"testing"
)

// TestReaders asks the running daemon as other users, whom the kernel knows as such: those of the control group may read, root alone may change
// anything, others do not come in, and the worker's own user is one of these.
func TestReaders(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the daemon")
	}
	if os.Geteuid() != 0 {
		t.Skip("asks as other users")
	}
	const group, nobody, nogroup, denied = 54399, 65534, 65534, 3
	programs := build(t)
	inBothShapes(t, func(t *testing.T, option string) {
		g := programs.gateway(t, "openbsd", callUs)
		g.more = []string{option}
		_, jail := g.authLog()
		g.run(jail)
		if err := os.Chown(g.socket, 0, group); err != nil {
			t.Fatal(err)
		}
		g.cli("ban", "203.0.113.7")
		g.cli("never", "add", "203.0.113.100")
		reads := [][]string{{"status"}, {"bans"}, {"bans", "-o", "json"}, {"explain", "203.0.113.7"}, {"never", "list"}, {"pf"}}
		changes := [][]string{
			{"ban", "203.0.113.8"}, {"unban", "203.0.113.7"}, {"unban", "--all"}, {"never", "add", "203.0.113.9"}, {"never", "remove", "203.0.113.100"}, {"pause"}, {"pause", "--flush"}, {"resume"},
		}
		for _, who := range []struct {
			name           string
			uid, gid       uint32
			reads, changes int // exit status
			says           string
		}{
			{"root", 0, 0, 0, 0, ""},
			{"root with another group", 0, nogroup, 0, 0, ""},
			{"a reader", stranger, group, 0, denied, "only root may change"},
			{"the worker's user as a reader", nobody, group, 0, denied, "only root may change"},
			{"an outsider", stranger, stranger, denied, denied, "is for root and its group"},
			{"the worker's user", nobody, nogroup, denied, denied, "is for root and its group"},
		} {
			for _, args := range reads {
				if out, status := runAs(t, g, who.uid, who.gid, g.bin, append([]string{"--socket", g.socket}, args...)...); status != who.reads || status != 0 && !strings.Contains(out, who.says) {
					t.Errorf("%s reads %v: status %d, %s", who.name, args, status, out)
				}
			}
			if who.uid == 0 {
				continue // root may do all of it
			}
			for _, args := range changes {
				if out, status := runAs(t, g, who.uid, who.gid, g.bin, append([]string{"--socket", g.socket}, args...)...); status != who.changes || !strings.Contains(out, who.says) {
					t.Errorf("%s changes %v: status %d, %s", who.name, args, status, out)
				}
			}
		}
		bans, never := g.bans(), g.cli("never", "list")
		if _, ok := bans["203.0.113.7"]; !ok || len(bans) != 1 || strings.Contains(never, "203.0.113.9") || !strings.Contains(never, "203.0.113.100") || strings.Contains(g.cli("status"), "paused") {
			t.Errorf("somebody has changed something: %v\n%s", bans, never)
		}
	})
}
