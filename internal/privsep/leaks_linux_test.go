package privsep

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLeaksHelper is no test: it is the worker that TestLeaks looks at.
func TestLeaksHelper(t *testing.T) {
	if os.Getenv("PFWARDEN_TEST_LEAKS") == "" {
		t.Skip("run by TestLeaks")
	}
	in, err := Inherit()
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil {
			open[filepath.Base(name)] = target
		}
	}
	if _, err := net.FileConn(in.Socket); err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(open); err != nil {
		t.Fatal(err)
	}
}

// TestLeaks: whatever descriptors whoever starts a worker forgets to close, the worker has closed before it does anything: only those agreed on are left.
func TestLeaks(t *testing.T) {
	t.Parallel()
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	leak, err := os.Open(secret)
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	text, err := json.Marshal(Role{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLeaksHelper$")
	cmd.Env = append(os.Environ(), "PFWARDEN_TEST_LEAKS=1", envWorker+"="+string(text))
	cmd.ExtraFiles = make([]*os.File, 500)
	for _, fd := range []int{7, 8, 60, 502} {
		cmd.ExtraFiles[fd-3] = leak
	}
	cmd.ExtraFiles[fdSocket-3] = theirs
	out, err := cmd.Output()
	theirs.Close()
	var open map[string]string
	if err := errors.Join(err, json.Unmarshal(out[:max(0, strings.IndexByte(string(out), '\n'))], &open)); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%v", open)
	for fd, target := range open {
		if target == secret {
			t.Errorf("the worker holds %s as %s", target, fd)
		}
	}
	if !strings.HasPrefix(open["3"], "socket:") {
		t.Errorf("its socket is gone: %v", open)
	}
}

// TestCloseAtExec: what a process inherited itself goes to nothing that it runs, whatever its number.
func TestCloseAtExec(t *testing.T) {
	t.Parallel()
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	high, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, 1100)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(high)
	closeAtExec(high)
	if flags, err := unix.FcntlInt(uintptr(high), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor %d: flags %d, %v", high, flags, err)
	}
}

// TestLimitsHelper is no test: it is the worker whose limits TestLimits tries.
func TestLimitsHelper(t *testing.T) {
	if os.Getenv("PFWARDEN_TEST_LIMITS") == "" {
		t.Skip("run by TestLimits")
	}
	if err := limitWorker(512 << 20); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("PFWARDEN_TEST_LIMITS") == "memory" {
		var held [][]byte
		for range 1 << 10 { // twice as much
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			held = append(held, b)
		}
		os.Stdout.WriteString(strconv.Itoa(len(held)) + " MiB held\n")
		return
	}
	failed := error(nil)
	count := 0
	for ; failed == nil && count < 3*maxDescriptors; count++ {
		_, failed = unix.Open("/dev/null", unix.O_RDONLY, 0)
	}
	raised := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
	if err := json.NewEncoder(os.Stdout).Encode([]string{strconv.FormatBool(count <= maxDescriptors), strconv.FormatBool(errors.Is(failed, syscall.EMFILE)), strconv.FormatBool(errors.Is(raised, fs.ErrPermission) || os.Geteuid() == 0)}); err != nil {
		t.Fatal(err)
	}
}

// TestLimits: a worker that opens without end is refused the next descriptor, and one that takes memory without end is ended; neither takes the
// machine along.
func TestLimits(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes memory")
	}
	run := func(what string) (string, error) {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestLimitsHelper$")
		cmd.Env = append(os.Environ(), "PFWARDEN_TEST_LIMITS="+what)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("files"); err != nil || !strings.HasPrefix(out, `["true","true","true"]`) {
		t.Errorf("descriptors: %v: %s", err, out)
	}
	if out, err := run("memory"); err == nil || !strings.Contains(out, "out of memory") && !strings.Contains(out, "cannot allocate memory") && !strings.Contains(out, "ThreadSanitizer") {
		t.Errorf("memory: %v: %.2000s", err, out)
	}
}
