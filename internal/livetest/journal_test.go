package livetest

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/testkit"
)

// TestJournal: the journal of a live run, with a restart of the detector's settings in its midst, replays to the verdicts of that run, byte by byte,
// and twice to the same.
func TestJournal(t *testing.T) {
	t.Parallel()
	g := build(t).gateway(t, "openbsd", callUs)
	g.pf = "" // looks at PF as seldom as a user's
	journal := filepath.Join(g.dir, "journal")
	testkit.Must(t, os.WriteFile(g.config, fmt.Appendf(nil, `[pf]
backend = "memory"
[pflog]
interface = ""
file = %q
watch = ["em0"]
[metrics]
listen = ""
[store]
file = %q
[control]
socket = %q
group = ""
[log]
target = "stderr"
`, g.pflog, filepath.Join(g.dir, "pfwarden.db"), g.socket), 0o600))
	f, err := os.OpenFile(g.pflog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	testkit.Must(t, err)
	defer f.Close()
	_, err = f.Write(pflogwrite.Format{}.Header())
	testkit.Must(t, err)
	g.daemon = start(t, "pfwarden", g.env, g.bin, "run", "-f", g.config, "--single-process", "--journal", journal)
	up := func() bool { return exec.Command(g.bin, "--socket", g.socket, "status").Run() == nil }
	testkit.Within(t, 10*time.Second, "the daemon answers", up)
	ports := []uint16{21, 22, 23, 25, 80, 110, 443, 445, 3389, 5900}
	banned := func(source string) func() bool {
		return func() bool { return strings.Contains(g.cli("bans", "-o", "json"), `"`+source+`"`) }
	}
	scan := func(source string) {
		appendRecords(t, f, pflogwrite.Format{}, netip.MustParseAddr(source), ports)
		testkit.Within(t, 20*time.Second, source+" is banned", banned(source))
	}
	scan("203.0.113.66")
	testkit.Must(t, g.daemon.Process.Signal(syscall.SIGHUP)) // reads the configuration again
	scan("203.0.113.67")
	testkit.Must(t, g.daemon.Process.Signal(syscall.SIGTERM))
	_, _ = g.daemon.Process.Wait()
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
	for _, source := range []string{"203.0.113.66", "203.0.113.67"} {
		if !bytes.Contains(first, []byte(`"address":"`+source+`"`)) {
			t.Errorf("no verdict on %s:\n%s", source, first)
		}
	}
	if second := replay(); !bytes.Equal(first, second) {
		t.Errorf("two replays differ:\n%s\n%s", first, second)
	}
}
