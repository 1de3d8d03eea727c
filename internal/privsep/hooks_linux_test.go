package privsep_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// withActions gives a gateway a fail2ban folder: a jail whose action and ignore command are programs, and one that reads fail2ban's own log.
func withActions(t *testing.T) func(dir, config string) string {
	return func(dir, config string) string {
		files := map[string]string{
			"fail2ban.conf":   "[DEFAULT]\nloglevel = INFO\nlogtarget = DIR/fail2ban.log\ndbpurgeage = 1d\n",
			"filter.d/t.conf": "[Definition]\nfailregex = ^.*bad <F-USER>.*</F-USER> from <HOST>$\n",
			"filter.d/r.conf": "[Definition]\nfailregex = ^.*NOTICE\\s+\\[(?!r)[^\\]]+\\]\\s+Ban\\s+<HOST>\\s*$\n",
			"action.d/a.conf": "[Definition]\nactionstart = echo start $(id -u) >> <out>\nactionstop = echo stop >> <out>\n" +
				"actionban = printf '%%s\\n' \"ban <ip> <F-USER>\" >> <out>\nactionunban = echo unban <ip> >> <out>\n[Init]\nout = /dev/null\n",
			"jail.conf": "[DEFAULT]\nbantime = 600\nfindtime = 600\nmaxretry = 1\nignoreself = false\nbackend = polling\n" +
				"[t]\nenabled = true\nfilter = t\nlogpath = DIR/auth.log\naction = a[out=DIR/done]\nignorecommand = test <ip> = 198.51.100.9\n" +
				"[r]\nenabled = true\nfilter = r\nlogpath = DIR/fail2ban.log\naction = a[out=DIR/again]\n",
		}
		if err := errors.Join(os.MkdirAll(dir+"/f2b/filter.d", 0o700), os.Mkdir(dir+"/f2b/action.d", 0o700), os.WriteFile(dir+"/auth.log", nil, 0o600),
			os.WriteFile(dir+"/fail2ban.log", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(dir+"/f2b/"+name, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return fmt.Sprintf("fail2ban = %q\n", dir+"/f2b") + config
	}
}

func (h *gateway) attack(user, from string) {
	h.t.Helper()
	f, err := os.OpenFile(h.dir+"/auth.log", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s bad %s from %s\n", time.Now().Format("2006-01-02 15:04:05"), user, from); err != nil {
		h.t.Fatal(err)
	}
}

func (h *gateway) text(name string) string {
	b, _ := os.ReadFile(h.dir + "/" + name)
	return string(b)
}

// TestThreeProcesses: actions and ignore commands are run by a process of their own, with its commands and the worker's values; it is started
// again when it ends, and ends with the others.
func TestThreeProcesses(t *testing.T) {
	h := newGateway(t, withActions(t))
	h.await("a process for commands", func() bool { return h.child("hooks") != 0 })
	if uid := field(h.child("hooks"), "Uid"); !strings.HasPrefix(uid, "0 ") {
		t.Errorf("commands are run as %q", uid)
	}
	if uid := field(h.worker(), "Uid"); strings.Contains(uid+" ", "0 0") {
		t.Errorf("the worker runs as %q", uid)
	}
	h.await("the action is started", func() bool { return h.text("done") == "start 0\n" })
	h.attack("$(touch "+h.dir+"/owned)", "203.0.113.5")
	h.attack("root", "198.51.100.9") // whom the ignore command spares
	h.await("the action bans", func() bool { return strings.Contains(h.text("done"), "ban 203.0.113.5 $(touch") })
	h.await("a line in fail2ban's log", func() bool { return strings.Contains(h.text("fail2ban.log"), "[t] Ban 203.0.113.5\n") })
	h.await("and the jail that reads it", func() bool { return strings.Contains(h.text("again"), "ban 203.0.113.5") })

	before := h.child("hooks")
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.attack("root", "203.0.113.6") // waits for the next one
	h.await("another process for commands", func() bool { n := h.child("hooks"); return n != 0 && n != before })
	h.await("what waited is done", func() bool { return strings.Contains(h.text("done"), "ban 203.0.113.6 root\n") })
	if strings.Contains(h.text("done"), "198.51.100.9") {
		t.Errorf("the ignore command was not asked:\n%s", h.text("done"))
	}
	if _, err := os.Stat(h.dir + "/owned"); err == nil {
		t.Error("a value was run as a command")
	}
	status, _ := h.output("status")
	if !strings.Contains(status, "commands was started again (restarts: 1)") {
		t.Errorf("nobody says that the process had to be started again:\n%s", status)
	}

	pid := h.child("hooks")
	if err := h.daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.await("the process for commands ends with the privileged process", func() bool { return syscall.Kill(pid, 0) != nil })
}

// TestHooksStop: a stop in order lets actions go of their bans before the process for commands ends.
func TestHooksStop(t *testing.T) {
	h := newGateway(t, withActions(t))
	h.attack("root", "203.0.113.5")
	h.await("the action bans", func() bool { return strings.Contains(h.text("done"), "ban 203.0.113.5") })
	if err := h.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := h.daemon.Wait(); err != nil {
		t.Error(err)
	}
	if got := h.text("done"); got != "start 0\nban 203.0.113.5 root\nunban 203.0.113.5\nstop\n" {
		t.Errorf("it did\n%s", got)
	}
}

// TestReloadKeepsActions: a reload replaces the worker and the process for commands; actions that are the same in the new configuration are
// neither stopped nor started, changed ones are; a faulty configuration changes nothing.
func TestReloadKeepsActions(t *testing.T) {
	h := newGateway(t, withActions(t))
	h.attack("root", "203.0.113.5")
	h.await("the action bans", func() bool { return strings.Contains(h.text("done"), "ban 203.0.113.5") })
	h.await("the other action bans", func() bool { return strings.Contains(h.text("again"), "ban 203.0.113.5") })
	reload := func() {
		t.Helper()
		worker, hooks := h.worker(), h.child("hooks")
		if err := h.daemon.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		h.await("another worker and another process for commands", func() bool {
			w, c := h.worker(), h.child("hooks")
			return w != 0 && c != 0 && w != worker && c != hooks
		})
		h.answers()
	}
	reload()
	h.attack("admin", "203.0.113.6")
	h.await("the new worker's ban", func() bool { return strings.Contains(h.text("done"), "ban 203.0.113.6 admin\n") })
	if got := h.text("done"); got != "start 0\nban 203.0.113.5 root\nban 203.0.113.6 admin\n" {
		t.Errorf("over a reload it did\n%s", got)
	}
	if out, err := h.client("unban", "203.0.113.5"); err != nil { // that the worker before has made
		t.Error(out, err)
	}
	h.await("the end of an older ban", func() bool { return strings.Contains(h.text("done"), "unban 203.0.113.5\n") })

	jails := h.text("f2b/jail.conf")
	if err := os.WriteFile(h.dir+"/f2b/jail.conf", []byte(strings.Replace(jails, "out="+h.dir+"/again", "out="+h.dir+"/other", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	reload()
	h.await("the changed action is stopped", func() bool { return strings.HasSuffix(h.text("again"), "stop\n") })
	h.await("and started with its bans", func() bool { return strings.HasPrefix(h.text("other"), "start 0\nban 203.0.113.6") })
	if got := h.text("done"); strings.Contains(got, "stop") || strings.Count(got, "start") != 1 {
		t.Errorf("the action that did not change did\n%s", got)
	}

	worker := h.worker()
	text := h.text("c.toml")
	if err := os.WriteFile(h.dir+"/c.toml", []byte(text+"nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.await("the fault is told", func() bool {
		s, _ := h.output("status")
		return strings.Contains(s, "refused (1 so far): ") && strings.Contains(s, "log.nonsense: unknown key")
	})
	if h.worker() != worker {
		t.Error("a faulty configuration has replaced the worker")
	}
}

// TestFail2banClient: what fail2ban-client changes at run time is changed in the worker; a reload and a stop are the privileged process's work.
func TestFail2banClient(t *testing.T) {
	h := newGateway(t, withActions(t))
	if out, err := h.client("set", "t", "maxretry", "2"); err != nil || strings.TrimSpace(out) != "2" {
		t.Errorf("set maxretry: %q, %v", out, err)
	}
	for _, args := range [][]string{{"set", "t", "ignorecommand", "true"}, {"set", "t", "addlogpath", "/etc/shadow"}} {
		if out, err := h.client(args...); err == nil || !strings.Contains(out, "fixed when pfwarden starts") {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
	worker := h.worker()
	if out, err := h.client("reload"); err != nil || !strings.Contains(out, "OK") {
		t.Errorf("reload: %q, %v", out, err)
	}
	if h.worker() == worker {
		t.Error("reload has not replaced the worker")
	}
	if out, err := h.client("get", "t", "maxretry"); err != nil || strings.TrimSpace(out) != "1" {
		t.Errorf("after a reload maxretry is %q, %v", out, err)
	}
	if err := os.WriteFile(h.dir+"/f2b/jail.conf", []byte("[t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.client("reload"); err == nil {
		t.Errorf("reload of a faulty folder: %q", out)
	}
	if out, err := h.client("stop"); err != nil {
		t.Errorf("stop: %q, %v", out, err)
	}
	if err := h.daemon.Wait(); err != nil {
		t.Error(err)
	}
}

func (h *gateway) client(args ...string) (string, error) {
	out, err := exec.Command(h.bin, append([]string{"fail2ban-client", "-c", h.dir + "/f2b", "-s", h.dir + "/s"}, args...)...).CombinedOutput()
	return string(out), err
}
