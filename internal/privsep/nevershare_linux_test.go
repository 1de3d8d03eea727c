package privsep_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNeverShared: what an administrator puts on the never-list while the daemon runs reaches the privileged process, also from the next worker; taking
// it off says from when on it counts.
func TestNeverShared(t *testing.T) {
	h := newGateway(t)
	table := func() string {
		cmd := exec.Command(filepath.Join(h.dir, "pfctl"), "-a", "pfwarden", "-t", "banned", "-T", "show")
		cmd.Env = append(os.Environ(), "PFTEST_STATE="+h.dir+"/state", "PFTEST_PROFILE=openbsd")
		out, _ := cmd.Output()
		return string(out)
	}
	for _, args := range [][]string{{"ban", "203.0.113.7"}, {"ban", "203.0.113.8"}} {
		if err := h.cli(args...); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	h.await("two addresses in the table", func() bool {
		return strings.Contains(table(), "203.0.113.7") && strings.Contains(table(), "203.0.113.8")
	})
	if err := h.cli("never", "add", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	h.await("one that became never-listed leaves the table", func() bool { return !strings.Contains(table(), "203.0.113.7") })

	pid := h.worker()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.await("another worker", func() bool { n := h.worker(); return n != 0 && n != pid })
	h.answers()
	cmd := exec.Command(h.bin, "--socket", h.dir+"/s", "never", "remove", "203.0.113.7")
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "until the next reload") {
		t.Errorf("never remove says %q, %v", text, err)
	}
	if err := h.cli("ban", "203.0.113.7"); err != nil { // the worker knows nothing against it any more, as if it had been taken over
		t.Fatal(err)
	}
	h.await("the privileged process refuses it", func() bool {
		log, _ := os.ReadFile(h.log)
		return strings.Contains(string(log), "left out what the worker wanted to ban") && strings.Contains(string(log), "203.0.113.7/32")
	})
	if strings.Contains(table(), "203.0.113.7") {
		t.Errorf("it was banned:\n%s", table())
	}
	if err := h.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.await("it is banned after the reload", func() bool { return strings.Contains(table(), "203.0.113.7") })
}
