package livetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestJournal: a live run records on through reloads, what an administrator does by hand, a crash and a restart, in one process and in two; the
// journal replays to the verdicts of that run, byte by byte, and twice to the same.
func TestJournal(t *testing.T) {
	t.Parallel()
	programs := build(t)
	inBothShapes(t, func(t *testing.T, shape string) {
		g := programs.gateway(t, "openbsd", callUs)
		journal := filepath.Join(g.dir, "journal")
		g.more = []string{shape, "--journal", journal}
		log, jail := g.authLog()
		ports := []uint16{21, 22, 23, 25, 80, 110, 443, 445, 3389, 5900}
		var want []string
		banned := func(source string) {
			t.Helper()
			want = append(want, source)
			testkit.Within(t, 20*time.Second, source+" is banned", func() bool { _, yes := g.bans()[source]; return yes })
		}
		g.scan("203.0.113.66")
		g.run(jail)
		g.scan("203.0.113.66", ports...)
		banned("203.0.113.66")
		failures(t, log, "198.51.100.66", 5)
		banned("198.51.100.66")

		g.configure(jail + "maxretry = 3\n")
		testkit.Must(t, g.daemon.Process.Signal(syscall.SIGHUP))
		testkit.Within(t, 20*time.Second, "the new settings are taken over", func() bool {
			out, err := exec.Command(g.bin, "--socket", g.socket, "status", "sshd").Output()
			return err == nil && bytes.Contains(out, []byte("3 in 10m"))
		})
		failures(t, log, "198.51.100.67", 3)
		banned("198.51.100.67")
		g.cli("ban", "--for", "1h", "198.51.100.68")
		g.cli("never", "add", "198.51.100.69")
		failures(t, log, "198.51.100.69", 5) // leads to a verdict, which is stopped
		g.cli("unban", "198.51.100.66")
		failures(t, log, "198.51.100.70", 5)
		banned("198.51.100.70")
		recorded := func() bool {
			text, err := os.ReadFile(journal)
			return err == nil && bytes.Contains(text, []byte(`"address":"198.51.100.70"`))
		}
		testkit.Within(t, 20*time.Second, "the journal is written while the daemon runs", recorded)

		g.kill()
		testkit.Within(t, 20*time.Second, "the worker ends too", func() bool { return exec.Command(g.bin, "--socket", g.socket, "status").Run() != nil })
		g.again()
		g.scan("203.0.113.67", ports...)
		banned("203.0.113.67")
		g.stop()

		replay := func() []byte {
			cmd := exec.Command(g.bin, "replay", "-o", "json", journal)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil || !strings.Contains(errs.String(), "all as recorded") {
				t.Fatalf("%v: %s\n%s", err, errs.String(), out)
			}
			return out
		}
		first := replay()
		for _, source := range append(want, "198.51.100.69") {
			if !bytes.Contains(first, []byte(`"address":"`+source+`"`)) {
				t.Errorf("no verdict on %s:\n%s", source, first)
			}
		}
		if second := replay(); !bytes.Equal(first, second) {
			t.Errorf("two replays differ:\n%s\n%s", first, second)
		}
	})
}
