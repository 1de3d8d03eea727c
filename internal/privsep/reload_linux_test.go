package privsep_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// sshd adds a jail that bans at the first failure and reads the named logs of the gateway's folder.
func sshd(logs ...string) func(dir, config string) string {
	return func(dir, config string) string {
		for i, l := range logs {
			logs[i] = strconv.Quote(filepath.Join(dir, l))
		}
		return config + "[portscan]\nenabled = false\n[jail.sshd]\nmaxretry = 1\nlogs = [" + strings.Join(logs, ", ") + "]\n"
	}
}

// fails appends failures of log-ins from addresses to a log of the gateway.
func (h *gateway) fails(log string, addresses ...string) {
	h.t.Helper()
	f, err := os.OpenFile(filepath.Join(h.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	testkit.Must(h.t, err)
	defer f.Close()
	var b strings.Builder
	for _, a := range addresses {
		fmt.Fprintf(&b, "%s host sshd[7]: Failed password for root from %s port 40022 ssh2\n", time.Now().Format("Jan _2 15:04:05"), a)
	}
	_, err = f.WriteString(b.String())
	testkit.Must(h.t, err)
}

// banned tells what stands in the table.
func (h *gateway) banned() string {
	cmd := exec.Command(filepath.Join(h.dir, "pfctl"), "-a", "pfwarden", "-t", "banned", "-T", "show")
	cmd.Env = append(os.Environ(), "PFTEST_STATE="+h.dir+"/state", "PFTEST_PROFILE=openbsd")
	out, _ := cmd.Output() // no table yet is an empty one
	return string(out)
}

func (h *gateway) said(text string) bool {
	log, _ := os.ReadFile(h.log)
	return strings.Contains(string(log), text)
}

func (h *gateway) configure(old, fresh string) {
	h.t.Helper()
	path := h.dir + "/c.toml"
	text, err := os.ReadFile(path)
	testkit.Must(h.t, err)
	if !strings.Contains(string(text), old) {
		h.t.Fatalf("the configuration does not hold %q:\n%s", old, text)
	}
	testkit.Must(h.t, os.WriteFile(path, []byte(strings.Replace(string(text), old, fresh, 1)), 0o600))
	testkit.Must(h.t, h.daemon.Process.Signal(syscall.SIGHUP))
}

// TestReloadAddsLog: a log that a reload brings is opened for the new worker, and failures in it lead to bans.
func TestReloadAddsLog(t *testing.T) {
	h := newGateway(t, sshd("one.log"))
	h.fails("one.log", "203.0.113.1")
	h.await("a ban by the first log", func() bool { return strings.Contains(h.banned(), "203.0.113.1") })
	pid, second := h.worker(), filepath.Join(h.dir, "two.log")
	h.fails("two.log") // it is there, and nobody reads it
	h.configure(`/one.log"`, `/one.log", `+strconv.Quote(second)+`, "`+h.dir+`/three.log"`)
	h.await("another worker", func() bool { n := h.worker(); return n != 0 && n != pid })
	h.await("the worker holds the new log", func() bool {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", h.worker()))
		for _, fd := range fds {
			if target, _ := os.Readlink(fd); target == second {
				return true
			}
		}
		return false
	})
	h.fails("two.log", "203.0.113.2")
	h.fails("three.log", "203.0.113.3")
	h.await("bans by the new logs", func() bool {
		return strings.Contains(h.banned(), "203.0.113.2") && strings.Contains(h.banned(), "203.0.113.3")
	})
	if !strings.Contains(h.banned(), "203.0.113.1") {
		t.Error("the ban from before is gone")
	}
}

// TestReloadRefusesAnchor: an anchor cannot change while the privileged process runs. It says which, where, and what to do, and all stays as it was.
func TestReloadRefusesAnchor(t *testing.T) {
	h := newGateway(t, sshd("one.log"))
	pid := h.worker()
	h.configure("[pf]\n", "[pf]\nanchor = \"elsewhere\"\n")
	h.await("the refusal", func() bool { return h.said("the configuration was not taken over") })
	for _, want := range []string{"pf.anchor", "elsewhere", "instead of", "c.toml", "restart it, or put the old value back"} {
		if !h.said(want) {
			t.Errorf("it does not say %q", want)
		}
	}
	h.fails("one.log", "203.0.113.4")
	h.await("a ban in the old anchor", func() bool { return strings.Contains(h.banned(), "203.0.113.4") })
	if h.worker() != pid {
		t.Error("the worker was replaced")
	}
	h.configure("anchor = \"elsewhere\"\n", "")
	h.await("the old value is taken over", func() bool { n := h.worker(); return n != 0 && n != pid })
}

// TestSmallThroughBans: while bans come one by one, and now and then many at once, the privileged process stays below 12 MiB. PFWARDEN_FULL=1 takes ten
// minutes.
func TestSmallThroughBans(t *testing.T) {
	long := 8 * time.Second
	if os.Getenv("PFWARDEN_FULL") != "" {
		long = 10 * time.Minute
	}
	h := newGateway(t, func(dir, config string) string { // no ban ends before the test does
		return strings.Replace(sshd("one.log")(dir, config), "[jail.sshd]\n", "[jail.sshd]\nladder = [\"1h\"]\n", 1)
	})
	h.fails("one.log")
	most, n := 0, 0
	some := func(count int) (list []string) {
		for range count {
			n++
			list = append(list, fmt.Sprintf("100.%d.%d.%d", 64+n>>16, n>>8&255, n&255))
		}
		return list
	}
	single, burst, look := time.NewTicker(300*time.Millisecond), time.NewTicker(5*time.Second), time.NewTicker(20*time.Millisecond)
	defer single.Stop()
	defer burst.Stop()
	defer look.Stop()
	for end := time.After(long); end != nil; {
		select {
		case <-single.C:
			h.fails("one.log", some(1)...)
		case <-burst.C:
			h.fails("one.log", some(500)...)
		case <-look.C:
			kib, err := strconv.Atoi(strings.TrimSuffix(field(h.daemon.Process.Pid, "VmRSS"), " kB"))
			testkit.Must(t, err)
			most = max(most, kib)
		case <-end:
			end = nil
		}
	}
	t.Logf("%d bans in %v: %d KiB resident at most", n, long, most)
	h.await("all bans", func() bool { return strings.Count(h.banned(), "\n") == n })
	if most > 12<<10 {
		t.Errorf("the privileged process had %d KiB resident", most)
	}
}
