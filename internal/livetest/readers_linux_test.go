package livetest

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestReaders asks the running daemon as other users, whom the kernel knows as such: those of the control group may read, root alone may change
// anything, others do not come in, and the worker's own user is one of these.
func TestReaders(t *testing.T) {
	t.Parallel()
	needsRoot(t, "asks as other users")
	const group, nobody, nogroup, denied = 54399, 65534, 65534, 3
	programs := buildUnlessShort(t)
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

// dialAs connects to a unix socket as another user, as the kernel tells the other end.
func dialAs(path string, uid, gid int) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never lets go: the thread, which alone is another user, ends with this goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
			err = errno
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)); errno != 0 {
			err = errno
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			err = errno
			return
		}
		c, err = net.Dial("unix", path)
	}()
	<-done
	return c, err
}

// TestSlowReaders: a reader who takes every place at the socket that he can get, and says what he says slowly and at length, does not keep root
// out, nor a ban.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	needsRoot(t, "asks as another user")
	const group = 54399
	g := buildUnlessShort(t).gateway(t, "openbsd", callUs)
	log, jail := g.authLog()
	g.run(jail)
	testkit.Must(t, os.Chown(g.socket, 0, group))
	for _, dir := range []string{filepath.Dir(g.dir), g.dir} {
		info, err := os.Stat(dir)
		testkit.Must(t, err)
		testkit.Must(t, os.Chmod(dir, info.Mode()|0o011))
	}
	begin := []string{
		"", "GET /v1/sta", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: ", "POST /v1/fail2ban HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20), "GET /v1/bans HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/bans HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/ban HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
	}
	var held []net.Conn
	for i := range 300 {
		c, err := dialAs(g.socket, stranger, group)
		testkit.Must(t, err)
		defer c.Close()
		held = append(held, c)
		go func() { _, _ = c.Write([]byte(begin[i%len(begin)])) }()
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				for _, c := range held {
					_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
					_, _ = c.Write([]byte("x"))
				}
			}
		}
	}()
	for range 5 {
		began := time.Now()
		g.cli("never", "list")
		if took := time.Since(began); took > testkit.Stretched(5*time.Second) {
			t.Errorf("root waited %v", took)
		}
	}
	failures(t, log, "198.51.100.9", 5)
	took := testkit.Within(t, 5*time.Second, "the ban is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
	t.Logf("ban after %v, %d MiB resident", took, g.resident()>>10)
	if g.resident() > 200<<10 {
		t.Errorf("%d KiB resident", g.resident())
	}
}
