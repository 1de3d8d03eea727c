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
	"pfwarden/internal/testkit/debian"
)

// original runs a program of Debian's fail2ban itself.
func original(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	root := debian.Fail2ban(t)
	return debian.Python(t, root, append([]string{filepath.Join(root, "usr", "bin", name)}, args...)...)
}

// TestMove moves from fail2ban as a user does: fail2ban itself runs a jail and bans; it is stopped, its database is taken over, and pfwarden goes on
// with the same folder.
func TestMove(t *testing.T) {
	t.Parallel()
	programs := buildUnlessShort(t)
	log := emptyLog(t)
	dir := fail2banFolder(t, map[string]string{
		"action.d/note.conf": "[Definition]\nactionban = echo ban <ip> >> DIR/notes\nactionunban = echo unban <ip> >> DIR/notes\n",
		"jail.local":         actionJail("ssh", log, "bantime = 1h\naction = note"),
	})
	database := filepath.Join(dir, "db.sqlite3")
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "fail2ban.local"), fmt.Appendf(nil,
		"[DEFAULT]\nlogtarget = %[1]s/fail2ban.log\ndbfile = %[2]s\nsocket = %[1]s/sock\npidfile = %[1]s/pid\n", dir, database), 0o644))
	server := original(t, "fail2ban-server", "-c", dir, "-f", "start")
	testkit.Must(t, server.Start())
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() { _ = server.Process.Kill() })
	ask := func(args ...string) string {
		out, _ := original(t, "fail2ban-client", append([]string{"-c", dir}, args...)...).CombinedOutput()
		return string(out)
	}
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(ask("status"), "ssh"); {
		select {
		case err := <-ended:
			text, _ := os.ReadFile(filepath.Join(dir, "fail2ban.log"))
			t.Skipf("fail2ban itself does not run here: %v\n%s", err, text)
		default:
		}
		if time.Now().After(deadline) {
			t.Skip("fail2ban itself does not come up here")
		}
	}
	g := programs.gateway(t, "openbsd", callUs)
	g.pf = "" // looks at PF as seldom as a user's
	const before, after, partly = "198.51.100.7", "198.51.100.8", "198.51.100.9"
	g.fail(log, before)
	testkit.Within(t, 30*time.Second, "fail2ban bans", func() bool { return strings.Contains(ask("status", "ssh"), "Banned IP list:\t"+before) })
	ask("stop")
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Fatal("fail2ban does not stop")
	}
	g.fail(log, after) // while nobody watches
	notes := filepath.Join(dir, "notes")
	testkit.Must(t, os.Remove(notes))

	g.head = fmt.Sprintf("fail2ban = %q\n", dir)
	g.folder = dir
	g.configure(onlyFail2ban)
	command(t, g.bin, "import", "-f", g.config, "--database", database, dir)
	g.again()
	testkit.Within(t, 10*time.Second, "both are banned", func() bool {
		b := g.bans()
		return b[before].Jail == "ssh" && b[after].Jail == "ssh"
	})
	if b := g.bans(); len(b) != 2 || !strings.Contains(b[before].Reason, "taken over") {
		t.Errorf("bans: %+v", b)
	}
	testkit.Within(t, 10*time.Second, "the action is told of both", func() bool { return len(lines(notes)) == 2 })
	g.fail(log, partly)
	testkit.Within(t, 10*time.Second, "what comes is banned too", func() bool { return g.bans()[partly].Jail == "ssh" })
	g.answers("fail2ban-client", []string{"-c", dir, "status", "ssh"}, before, after, partly)
	g.stop()
}
