// Command bench measures how fast bans get from a log line into PF's table: a real "pfwarden run" and, if its folder is given, Debian's
// fail2ban, one after the other, over the same stand-in pfctl on the same machine. The stand-in notes every run with its time. It prints
// one line a measurement, the ratios, and fails where a promise is not kept.
//
//	go run ./internal/livetest/bench -pfwarden BIN -pfctl BIN [-fail2ban UNPACKED-PACKAGE]
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"pfwarden/internal/control"
	"pfwarden/internal/testkit/home"
	"pfwarden/internal/warden"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// What is promised.
const (
	promiseSingle  = 10 * time.Millisecond
	promiseBurst   = 300 * time.Millisecond
	promiseMany    = 5 * time.Second
	promiseRestart = 3 * time.Second
	promiseDivided = time.Millisecond // that a single ban may take longer in two processes than in one
	promiseSmall   = 12 << 10         // KiB resident of the privileged process
)

type bench struct {
	pfwarden, pfctl, fail2ban, profile string
	singles, pairs                     int
	burst, many, restart               int
	broken                             []string
	resident                           int // most that was seen of the privileged process, in KiB
}

func run(args []string) error {
	var b bench
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&b.pfwarden, "pfwarden", "", "the pfwarden executable")
	fs.StringVar(&b.pfctl, "pfctl", "", "the stand-in pfctl executable")
	fs.StringVar(&b.fail2ban, "fail2ban", "", "folder of Debian's unpacked fail2ban package; none: ours alone")
	fs.StringVar(&b.profile, "profile", "openbsd", "of the stand-in")
	fs.IntVar(&b.singles, "singles", 41, "single bans")
	fs.IntVar(&b.pairs, "pairs", 200, "single bans in each shape of run, to compare them; needs root")
	fs.IntVar(&b.burst, "burst", 2000, "bans at once")
	fs.IntVar(&b.many, "many", 100000, "many bans at once")
	fs.IntVar(&b.restart, "restart", 150000, "bans at a restart")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if most := warden.DefaultMaxBans; max(b.many, b.restart, b.burst+b.singles) > most {
		return fmt.Errorf("more bans than pfwarden makes: %d are in force at most", most)
	}
	if b.pfwarden == "" || b.pfctl == "" {
		return errors.New("say where the programs are: -pfwarden, -pfctl")
	}
	ours, err := b.measure(b.startOurs, true)
	if err != nil {
		return fmt.Errorf("pfwarden: %w", err)
	}
	fmt.Printf("pfwarden: a single ban: log line to pfctl: median %v, slowest %v\n", ours.single, ours.slowest)
	fmt.Printf("pfwarden: %d bans at once: in the table %v after the first, %v after the line\n", b.burst, ours.burst, ours.burstWhole)
	b.promise("a single ban", ours.single, promiseSingle)
	b.promise("bans at once", ours.burst, promiseBurst)
	if b.pairs > 0 && os.Geteuid() == 0 {
		if err := b.compareShapes(); err != nil {
			return err
		}
	}
	if b.many > 0 {
		took, err := b.measureMany()
		if err != nil {
			return err
		}
		fmt.Printf("pfwarden: %d bans at once: in the table %v after the lines\n", b.many, took)
		b.promise("many bans at once", took, promiseMany)
	}
	if b.restart > 0 {
		if err := b.measureRestart(); err != nil {
			return err
		}
	}
	if b.resident > 0 {
		fmt.Printf("pfwarden: the privileged process: %d KiB resident at most\n", b.resident)
		if b.resident > promiseSmall {
			b.broken = append(b.broken, fmt.Sprintf("the privileged process had %d KiB resident, %d at most is promised", b.resident, promiseSmall))
		}
	}
	if b.fail2ban != "" {
		theirs, err := b.measure(b.startTheirs, false)
		if err != nil {
			return fmt.Errorf("fail2ban: %w", err)
		}
		fmt.Printf("fail2ban: a single ban: log line to pfctl: median %v, slowest %v\n", theirs.single, theirs.slowest)
		fmt.Printf("fail2ban: %d bans at once: in the table %v after the first, %v after the line\n", b.burst, theirs.burst, theirs.burstWhole)
		fmt.Printf("ratio, from the log line: a single ban %.0f times, %d bans at once %.0f times as fast as fail2ban\n",
			theirs.single.Seconds()/ours.single.Seconds(), b.burst, theirs.burstWhole.Seconds()/ours.burstWhole.Seconds())
	}
	if len(b.broken) > 0 {
		return errors.New("not as promised: " + strings.Join(b.broken, "; "))
	}
	return nil
}

func (b *bench) promise(what string, got, most time.Duration) {
	if got > most {
		b.broken = append(b.broken, fmt.Sprintf("%s took %v, %v at most is promised", what, got, most))
	}
}

// host is a folder with a PF, a log and a running daemon.
type host struct {
	b        *bench
	dir, log string
	daemon   *exec.Cmd
	one      bool     // run in one process, with root's rights
	table    []string // arguments that name the table
	seen     int      // bytes of the stand-in's notes that were read
	notes    []note
	part     []byte
}

// note is one run of pfctl that changed a table.
type note struct {
	at      time.Time
	verb    string
	entries int
}

func (b *bench) newHost(table []string, main string) (*host, error) {
	dir, err := os.MkdirTemp("", "pfbench")
	if err != nil {
		return nil, err
	}
	h := &host{b: b, dir: dir, log: filepath.Join(dir, "auth.log"), table: table}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "pf"), 0o700), os.WriteFile(h.log, nil, 0o600)); err != nil {
		return nil, err
	}
	room := fmt.Sprintf("set limit table-entries %d\n", 3*warden.DefaultMaxBans) // else the default of 200,000 would bound what is measured
	return h, h.pfctl(room+main, "-q", "-e", "-f", "-")
}

func (h *host) close() {
	h.end(syscall.SIGTERM)
	_ = os.RemoveAll(h.dir)
}

func (h *host) end(s syscall.Signal) {
	if h.daemon != nil {
		_ = h.daemon.Process.Signal(s)
		_ = h.daemon.Wait()
		h.daemon = nil
	}
}

func (h *host) env() []string {
	return append(os.Environ(), "PFTEST_STATE="+filepath.Join(h.dir, "pf"), "PFTEST_PROFILE="+h.b.profile, "PFTEST_LOG="+filepath.Join(h.dir, "notes"),
		"PFTEST_FAULTS=request:1000000", "PYTHONPATH="+filepath.Join(h.b.fail2ban, "usr/lib/python3/dist-packages"))
}

func (h *host) pfctl(stdin string, args ...string) error {
	cmd := exec.Command(h.b.pfctl, args...)
	cmd.Env, cmd.Stdin = h.env(), strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pfctl %v: %w: %s", args, err, out)
	}
	return nil
}

// inTable counts the addresses that PF shows.
func (h *host) inTable() int {
	cmd := exec.Command(h.b.pfctl, append(slices.Clone(h.table), "-T", "show")...)
	cmd.Env = h.env()
	out, _ := cmd.Output() // no table yet is none in it
	return bytes.Count(out, []byte("\n"))
}

// follow reads what the stand-in has noted since.
func (h *host) follow() error {
	f, err := os.Open(filepath.Join(h.dir, "notes"))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(int64(h.seen), io.SeekStart); err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	h.seen += len(text)
	h.part = append(h.part, text...)
	for {
		line, rest, whole := bytes.Cut(h.part, []byte("\n"))
		if !whole {
			return nil
		}
		h.part = rest
		var nanos int64
		var entries int
		f := strings.Split(string(line), "\t")
		if len(f) != 3 {
			continue
		}
		if _, err := fmt.Sscan(f[0], &nanos); err != nil {
			continue
		}
		if _, err := fmt.Sscan(f[2], &entries); err != nil {
			continue
		}
		args := strings.Fields(f[1])
		i := slices.Index(args, "-T")
		if i < 0 || i+1 >= len(args) || !slices.Contains([]string{"add", "replace", "delete"}, args[i+1]) {
			continue
		}
		if entries == 0 {
			entries = len(args) - i - 2 // addresses as arguments
		}
		h.notes = append(h.notes, note{time.Unix(0, nanos), args[i+1], entries})
	}
}

// complaints is what pfwarden's status holds that is not as it should be.
func (h *host) complaints() string {
	if h.daemon == nil || h.daemon.Args[0] != h.b.pfwarden {
		return ""
	}
	out, err := exec.Command(h.b.pfwarden, "--socket", home.Home{Dir: h.dir}.Socket(), "status", "-o", "json").Output()
	var status control.Status
	if len(out) == 0 || json.Unmarshal(out, &status) != nil {
		return fmt.Sprintf("; its status: %v", err)
	}
	text := ""
	for _, item := range status.Health {
		if !item.OK {
			text += "; " + item.Name + ": " + item.Text
		}
	}
	return text
}

// done waits until the run that is noted last has ended: the stand-in holds a lock on its PF meanwhile.
func (h *host) done() (time.Time, error) {
	f, err := os.Open(filepath.Join(h.dir, "pf", ".lock"))
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	return time.Now(), err
}

// await waits until n addresses were added since the notes from index on, and tells when the first run began and when the last was done.
func (h *host) await(from, n int, limit time.Duration) (first, last time.Time, err error) {
	deadline := time.Now().Add(limit)
	for {
		if err := h.follow(); err != nil && !errors.Is(err, os.ErrNotExist) {
			return first, last, err
		}
		sum := 0
		for _, x := range h.notes[min(from, len(h.notes)):] {
			if x.verb == "delete" {
				continue
			}
			if sum == 0 {
				first = x.at
			}
			last = x.at
			sum += x.entries
		}
		h.b.look(h)
		if sum >= n {
			last, err = h.done()
			return first, last, err
		}
		if time.Now().After(deadline) {
			return first, last, fmt.Errorf("%d of %d addresses after %v%s", sum, n, limit, h.complaints())
		}
		time.Sleep(time.Millisecond)
	}
}

// single attacks from one address and tells when pfctl got it, from the log line on. It looks on seldom, not to be in the way.
func (h *host) single(i int) (time.Duration, error) {
	from := len(h.notes)
	at, err := h.attack(i, 1)
	if err != nil {
		return 0, err
	}
	time.Sleep(20 * time.Millisecond)
	first, _, err := h.await(from, 1, time.Minute)
	return first.Sub(at), err
}

// attack appends failures of n addresses from the i-th on, and says when.
func (h *host) attack(i, n int) (time.Time, error) {
	f, err := os.OpenFile(h.log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<24)
	stamp := time.Now().Format("Jan _2 15:04:05")
	for k := i; k < i+n; k++ {
		fmt.Fprintf(w, "%s host sshd[%d]: Failed password for root from 100.%d.%d.%d port %d ssh2\n", stamp, 1000+k%30000, 64+k>>16, k>>8&255, k&255, 40000+k%20000)
	}
	at := time.Now()
	return at, w.Flush()
}
