package privsep_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/home"
	"pfwarden/internal/testkit/programs"
)

// gateway is a running pfwarden over the stand-in pfctl.
type gateway struct {
	t        *testing.T
	bin, dir string
	listen   string // where the metrics are asked for
	daemon   *exec.Cmd
	log      string
}

// newGateway starts one. prepare may change the configuration and add files to the folder.
func newGateway(t *testing.T, prepare ...func(dir, config string) string) *gateway {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root has rights to divide")
	}
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	// Each gateway has programs of its own, to tell its processes by.
	h := &gateway{t: t, dir: programs.Build(t, "./cmd/pfwarden", "./pfctl/pftest/pfctl")}
	h.bin, h.listen = filepath.Join(h.dir, "pfwarden"), testkit.FreeAddress(t)
	pfctl := filepath.Join(h.dir, "pfctl")
	config := fmt.Sprintf("[pf]\npfctl = %q\n", pfctl) + home.Home{Dir: h.dir, Listen: h.listen, Store: h.dir + "/db/pfwarden.db"}.TOML()
	for _, f := range prepare {
		config = f(h.dir, config)
	}
	if err := errors.Join(os.Mkdir(h.dir+"/state", 0o700), os.WriteFile(h.dir+"/c.toml", []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	h.daemon = exec.Command(h.bin, "run", "-f", h.dir+"/c.toml")
	h.daemon.Env = append(os.Environ(), "PFTEST_STATE="+h.dir+"/state", "PFTEST_PROFILE=openbsd", "SECRET_OF_ROOT=hunter2")
	leak, err := os.Open("/etc/shadow") // whoever starts it may have forgotten to close something
	testkit.Must(t, err)
	defer leak.Close()
	h.daemon.ExtraFiles = make([]*os.File, 1200)
	h.daemon.ExtraFiles[0], h.daemon.ExtraFiles[9], h.daemon.ExtraFiles[1199] = leak, leak, leak
	t.Cleanup(func() { // workers write into the folder that is about to be removed, until they see that their parent is gone
		testkit.Within(t, 20*time.Second, "all its processes have ended", func() bool { return !h.runs() })
	})
	h.log = programs.Start(t, "pfwarden", h.daemon)
	h.answers()
	return h
}

func (h *gateway) await(what string, done func() bool) {
	h.t.Helper()
	testkit.Within(h.t, 20*time.Second, what, done)
}

func (h *gateway) answers() {
	h.t.Helper()
	h.await("the daemon answers", func() bool { return h.cli("status") == nil })
}

func (h *gateway) cli(args ...string) error {
	return exec.Command(h.bin, append([]string{"--socket", h.dir + "/s"}, args...)...).Run()
}

func (h *gateway) output(args ...string) (string, error) {
	out, err := exec.Command(h.bin, append([]string{"--socket", h.dir + "/s"}, args...)...).Output()
	return string(out), err
}

// worker finds the process id of the worker, 0 if there is none.
func (h *gateway) worker() int { return h.child("worker") }

// child finds the process of a verb that the daemon started.
func (h *gateway) child(verb string) int {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		text, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		if len(f) < 2 || f[0] == "Z" || f[1] != strconv.Itoa(h.daemon.Process.Pid) {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if words := strings.Split(string(line), "\x00"); len(words) > 1 && words[0] == h.bin && words[1] == verb {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return n
		}
	}
	return 0
}

// runs says whether any process of the gateway's program is left.
func (h *gateway) runs() bool {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	return slices.ContainsFunc(all, func(path string) bool {
		line, _ := os.ReadFile(path)
		return strings.HasPrefix(string(line), h.bin+"\x00")
	})
}

// statFields are those of /proc/PID/stat after the program's name: state, parent, group, session, terminal, ...
func statFields(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

func field(pid int, name string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return ""
}

// TestTwoProcesses: who runs as whom, what the worker holds open, how large the privileged process is, and what happens when one ends.
func TestTwoProcesses(t *testing.T) {
	h := newGateway(t)
	pid := h.worker()
	if uid := field(pid, "Uid"); uid == "" || strings.HasPrefix(uid, "0") || strings.Contains(uid, " 0") {
		t.Errorf("the worker %d runs as %q", pid, uid)
	}
	for name, want := range map[string]string{
		"Groups": "", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if got := field(pid, name); got != want {
			t.Errorf("the worker's %s: %q, want %q", name, got, want)
		}
	}
	if stat := statFields(pid); len(stat) < 5 || stat[3] != strconv.Itoa(pid) || stat[4] != "0" {
		t.Errorf("the worker %d is in the session, and on the terminal, of others: %q", pid, stat)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	for _, want := range []string{"Max core file size 0 0 bytes", "Max open files 8192 8192 files"} {
		if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), want) {
			t.Errorf("limits of the worker: no %q, %v", want, err)
		}
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || strings.Contains(string(environ), "SECRET_OF_ROOT") {
		t.Errorf("the worker's environment: %q, %v", environ, err)
	}
	if stdin, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", pid)); err != nil || stdin != "/dev/null" {
		t.Errorf("the worker's standard input is %s, %v", stdin, err)
	}
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); err != nil || root != h.dir+"/db" {
		t.Errorf("the worker's root is %s, %v", root, err)
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("descriptors of the worker: %v, %v", fds, err)
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil {
			continue
		}
		if strings.HasPrefix(target, "/") && target != "/dev/null" && target != h.log && !strings.HasPrefix(target, h.dir+"/db/") &&
			!strings.HasPrefix(target, "/var/log/") && !strings.HasPrefix(target, "/sys/fs/cgroup/") {
			t.Errorf("the worker holds %s", target)
		}
	}
	kib, err := strconv.Atoi(strings.TrimSuffix(field(h.daemon.Process.Pid, "VmRSS"), " kB"))
	t.Logf("privileged process: %d KiB resident", kib)
	if err != nil || kib > 12<<10 {
		t.Errorf("the privileged process has %d KiB resident, %v", kib, err)
	}

	if err := h.cli("ban", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.await("another worker", func() bool { n := h.worker(); return n != 0 && n != pid })
	h.answers()
	out, err := exec.Command(h.bin, "--socket", h.dir+"/s", "bans", "-o", "json").Output()
	if err != nil || !strings.Contains(string(out), "203.0.113.7") {
		t.Errorf("the ban is gone with the worker: %s %v", out, err)
	}
	status, _ := exec.Command(h.bin, "--socket", h.dir+"/s", "status").Output() // its exit status tells of faults
	if !strings.Contains(string(status), "started again") {
		t.Errorf("nobody says that the worker had to be started again:\n%s", status)
	}
	testkit.Must(t, h.daemon.Process.Signal(syscall.SIGHUP))
	h.await("a reload ends the fault", func() bool {
		status, err := h.output("status")
		return err == nil && !strings.Contains(status, "started again")
	})

	pid = h.worker()
	if err := h.daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.await("the worker ends with the privileged process", func() bool { return syscall.Kill(pid, 0) != nil })
}

// TestDamagedLedgerIsFound: what is said of a damaged ledger names it as an administrator finds it, not as the worker in its root does.
func TestDamagedLedgerIsFound(t *testing.T) {
	t.Parallel()
	h := newGateway(t, func(dir, config string) string {
		testkit.Must(t, os.Mkdir(dir+"/db", 0o700))
		testkit.Must(t, os.WriteFile(dir+"/db/pfwarden.db", nil, 0o600))
		return config
	})
	out, err := h.output("status", "-o", "json")
	testkit.Must(t, err)
	_, rest, found := strings.Cut(out, h.dir+"/db/pfwarden.db.corrupt-")
	if !found {
		t.Fatalf("the status does not say where the old ledger is:\n%s", out)
	}
	stamp, _, _ := strings.Cut(rest, ";")
	if _, err := os.Stat(h.dir + "/db/pfwarden.db.corrupt-" + stamp); err != nil {
		t.Error(err)
	}
}

// TestWithoutLedger: where nothing is kept (store.file = ":memory:") the worker has a folder for its root all the same, which is gone at the end.
func TestWithoutLedger(t *testing.T) {
	t.Parallel()
	h := newGateway(t, func(dir, config string) string {
		return strings.Replace(config, fmt.Sprintf("%q", dir+"/db/pfwarden.db"), `":memory:"`, 1)
	})
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", h.worker()))
	testkit.Must(t, err)
	if info, err := os.Stat(root); root == "/" || err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the worker's root is %s: %v, %v", root, info, err)
	}
	testkit.Must(t, h.cli("ban", "203.0.113.9"))
	testkit.Must(t, h.daemon.Process.Signal(syscall.SIGTERM))
	h.await("the end of all processes", func() bool { return !h.runs() })
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", root, err)
	}
}
