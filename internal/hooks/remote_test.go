package hooks

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/internal/fail2ban"
	"pfwarden/internal/screen"
	"pfwarden/internal/testkit"
	"pfwarden/internal/warden"
)

// connected gives both ends of a socket.
func connected(t testing.TB) (worker, server net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if worker, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Close(); server.Close() })
	return worker, server
}

// serve runs a server until the test, or the socket, ends.
func serve(t testing.TB, b *Book, o ServerOptions) (worker net.Conn, served <-chan error) {
	t.Helper()
	worker, conn := connected(t)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { ended <- NewServer(b, conn, o).Serve(ctx) }()
	return worker, ended
}

// TestRemoteIsTheSame runs a whole life through the socket: /bin/sh is given the same, and does the same, as in one process.
func TestRemoteIsTheSame(t *testing.T) {
	t.Parallel()
	life := func(remote bool) string {
		out := filepath.Join(t.TempDir(), "out")
		actions := []fail2ban.Action{testAction("log", map[string]string{
			"actionstart": "echo start <name> >> <out>",
			"actionstop":  "echo stop >> <out>",
			"actionban":   `printf '%s\n' "ban <ip> <fid> <family> <failures> <time> <bantime> <bancount> <restored> <ip-rev> <F-USER><F-NONE> <jail.name> <br><unknown>: <matches>" '<ip>' >> <out>`,
			"actionunban": "echo unban <ip> >> <out>",
		}, map[string]string{"out": out, "name": "sshd"})}
		o := Options{}
		if remote {
			worker, _ := serve(t, NewBook([]Jail{{Name: "sshd", BanTime: 600, Actions: actions}}, nil, "", 0), ServerOptions{})
			o.Remote = NewRemote()
			o.Remote.Attach(worker, 0, "")
		}
		h := runHooks(t, o, actions...)
		h.Start(nil)
		h.Event(banEvent(warden.EventBan, "192.0.2.7"))
		h.Event(banEvent(warden.EventBan, "2001:db8::7"))
		idle(t, h)
		h.Event(banEvent(warden.EventUnban, "192.0.2.7"))
		if err := h.Stop(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) < 8 { // the two bans come in any order
			t.Fatalf("it did %q", text)
		}
		if i := strings.Index(string(text), "ban 2001"); i >= 0 && i < strings.Index(string(text), "ban 192") {
			return "swapped"
		}
		return string(text)
	}
	for range 5 {
		here, there := life(false), life(true)
		if here == "swapped" || there == "swapped" {
			continue
		}
		if d := cmp.Diff(here, there); d != "" {
			t.Errorf("-in one process +by a socket:\n%s", d)
		}
		return
	}
}

// TestRemoteRefuses: only commands of the book are run, with values of their kind.
func TestRemoteRefuses(t *testing.T) {
	t.Parallel()
	s := &spy{}
	action := testAction("a", map[string]string{"actionban": "fw add <ip> <failures> <family> <jail.name> <matches>"}, nil)
	book := NewBook([]Jail{{Name: "sshd", Actions: []fail2ban.Action{action}}}, nil, "", time.Minute)
	worker, _ := serve(t, book, ServerOptions{Shell: s.run})
	r := NewRemote()
	r.Attach(worker, 0, "")
	text := action.Command["actionban"]
	good := []field{{"ip", "192.0.2.7"}, {"failures", "3"}, {"family", "inet4"}, {"jail.name", "sshd"}, {"matches", "a `b`"}}
	with := func(tag, v string) (out []field) {
		for _, f := range good {
			if f.tag == tag {
				f.value = v
			}
			out = append(out, f)
		}
		return out
	}
	for _, c := range []struct {
		name, text string
		timeout    time.Duration
		fields     []field
		want       error
	}{
		{"as configured", text, time.Minute, good, nil},
		{"a log's text of any kind", text, time.Minute, with("matches", "$(reboot) -x\n;"), nil},
		{"another command", "rm -rf /", time.Minute, nil, ErrRefused},
		{"the command with more after it", text + "; reboot", time.Minute, good, ErrRefused},
		{"another time limit", text, time.Hour, good, ErrRefused},
		{"words for a number", text, time.Minute, with("failures", "3 -j ACCEPT"), ErrRefused},
		{"no family", text, time.Minute, with("family", "inet5"), ErrRefused},
		{"a jail that is none", text, time.Minute, with("jail.name", "x"), ErrRefused},
		{"host bits", text, time.Minute, with("ip", "192.0.2.7/24"), ErrRefused},
		{"two words for an address", text, time.Minute, with("ip", "192.0.2.7 -j ACCEPT"), ErrRefused},
		{"an address of the other family", text, time.Minute, with("ip", "2001:db8::7"), ErrRefused},
	} {
		err := r.Run(t.Context(), c.text, c.timeout, c.fields)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		runs := s.all()
		if s.runs = nil; (len(runs) == 1) != (c.want == nil) {
			t.Errorf("%s: ran %q", c.name, runs)
		}
	}
}

// TestRemoteEnds: a command under way when the process ends has failed; others wait for the next process.
func TestRemoteEnds(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	hang := func(ctx context.Context, _ string, _ []string) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	book := NewBook([]Jail{{Name: "sshd", Actions: []fail2ban.Action{testAction("a", map[string]string{"actionban": "x"}, nil)}}}, nil, "", time.Minute)
	worker, conn := connected(t)
	ctx, kill := context.WithCancel(t.Context())
	go func() { _ = NewServer(book, conn, ServerOptions{Shell: hang}).Serve(ctx) }()
	r := NewRemote()
	r.Attach(worker, 0, "")
	ended := make(chan error, 1)
	go func() { ended <- r.Run(t.Context(), "x", time.Minute, nil) }()
	<-begun
	kill()
	if err := <-ended; err == nil {
		t.Errorf("a run whose process has ended: %v", err)
	}
	// The run may have been told of its failure before the socket ended: what is asked until then still goes to the process that ends.
	testkit.Within(t, 20*time.Second, "the end of the process is known", func() bool { return r.Fault() != "" })
	go func() { ended <- r.Run(t.Context(), "x", time.Minute, nil) }()
	s := &spy{}
	next, _ := serve(t, book, ServerOptions{Shell: s.run})
	r.Attach(next, 1, "signal: killed")
	if err := <-ended; err != nil || len(s.all()) != 1 {
		t.Errorf("with the next process: %v, ran %q", err, s.all())
	}
	if text := r.Fault(); !strings.Contains(text, "restarts: 1") || !strings.Contains(text, "signal: killed") {
		t.Errorf("it says %q", text)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := NewRemote().Run(short, "x", time.Minute, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without any process: %v", err)
	}
}

// TestRemoteCancel: a request that is given up ends its command.
func TestRemoteCancel(t *testing.T) {
	t.Parallel()
	over, begun := make(chan struct{}), make(chan struct{})
	book := NewBook([]Jail{{Name: "sshd", Actions: []fail2ban.Action{testAction("a", map[string]string{"actionban": "x"}, nil)}}}, nil, "", time.Minute)
	worker, _ := serve(t, book, ServerOptions{Shell: func(ctx context.Context, _ string, _ []string) error {
		close(begun)
		<-ctx.Done()
		close(over)
		return ctx.Err()
	}})
	r := NewRemote()
	r.Attach(worker, 0, "")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := r.Run(ctx, "x", time.Minute, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	<-over
}

// TestRemoteBound: more commands at once than there may be are refused, and none waits in the process.
func TestRemoteBound(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	book := NewBook([]Jail{{Name: "sshd", Actions: []fail2ban.Action{testAction("a", map[string]string{"actionban": "x"}, nil)}}}, nil, "", time.Minute)
	worker, _ := serve(t, book, ServerOptions{Most: 3, Shell: func(context.Context, string, []string) error { <-release; return nil }})
	r := NewRemote()
	r.Attach(worker, 0, "")
	ended := make(chan error, 10)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { ended <- r.Run(t.Context(), "x", time.Minute, nil) })
	}
	for range 7 {
		if err := <-ended; err == nil || !strings.Contains(err.Error(), errBusy.Error()) {
			t.Errorf("beyond the bound: %v", err)
		}
	}
	close(release)
	all.Wait()
	for range 3 {
		if err := <-ended; err != nil {
			t.Errorf("within the bound: %v", err)
		}
	}
}

// TestRemoteIgnore asks an ignore command, whose values are one word each, whatever they hold.
func TestRemoteIgnore(t *testing.T) {
	t.Parallel()
	c, err := screen.NewCommand(`test <ip> = 192.0.2.1 -a <F-USER> = 'a"; exit 1; "'`, time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	other, err := screen.NewCommand(`true <ip>`, time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	worker, _ := serve(t, NewBook(nil, []*screen.Command{c}, "", 0), ServerOptions{})
	r := NewRemote()
	r.Attach(worker, 0, "")
	for values, want := range map[[2]string]int{{"192.0.2.1", `a"; exit 1; "`}: 0, {"192.0.2.1", "root"}: 1, {"", ""}: 1} {
		if status, err := r.Ask(t.Context(), c, values[:]); status != want || err != nil {
			t.Errorf("%q: status %d, %v", values, status, err)
		}
	}
	for _, ip := range []string{"$(true)", "192.0.2.1 -o x", "192.0.2.01", "localhost"} {
		if _, err := r.Ask(t.Context(), c, []string{ip, ""}); !errors.Is(err, ErrRefused) {
			t.Errorf("%q as <ip>: %v", ip, err)
		}
	}
	if _, err := r.Ask(t.Context(), c, []string{"192.0.2.1"}); !errors.Is(err, ErrRefused) {
		t.Errorf("a value too few: %v", err)
	}
	if _, err := r.Ask(t.Context(), other, []string{"192.0.2.1"}); !errors.Is(err, ErrRefused) {
		t.Errorf("a command that nobody configured: %v", err)
	}
}

// TestRemoteNotices has lines of fail2ban's log written; none can be forged.
func TestRemoteNotices(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fail2ban.log")
	worker, _ := serve(t, NewBook([]Jail{{Name: "sshd"}, {Name: "users", Identifiers: true}}, nil, path, 0), ServerOptions{})
	r := NewRemote()
	r.Attach(worker, 0, "")
	n := r.Notices()
	at := time.Date(2026, 11, 22, 9, 50, 29, 5e6, time.Local)
	ban := banEvent(warden.EventBan, "192.0.2.7")
	forged := banEvent(warden.EventUnban, "192.0.2.7")
	forged.Ban.Ident, forged.Ban.Jail = "x.2026", "users"
	split := forged
	split.Ban.Ident = "x\n2026-11-22 09:50:29,005 fail2ban.actions: NOTICE [users] Ban 192.0.2.1"
	other := forged
	other.Ban.Jail = "sshd" // which knows addresses only
	strange := banEvent(warden.EventBan, "192.0.2.8")
	strange.Ban.Jail = "other"
	for _, e := range []warden.Event{ban, forged, split, other, strange} {
		if err := n.Event(e, at); err != nil && !errors.Is(err, ErrRefused) { // that of an earlier line
			t.Error(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "2026-11-22 09:50:29,005 fail2ban.actions") || !strings.HasSuffix(lines[0], "[sshd] Ban 192.0.2.7") ||
		!strings.HasSuffix(lines[1], "[users] Unban x.2026") {
		t.Errorf("fail2ban's log holds\n%s", text)
	}
}

// TestGatheredValues: what is longer than an argument may be is cut between two characters, and the command is run.
func TestGatheredValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é ", 60<<10)
	value := func(string) (string, bool) { return long, true }
	fields := gather("x <matches> <ipmatches> <ipjailmatches> <raw-ticket>", value, value)
	total := 0
	for _, f := range fields {
		total += len(f.value)
		if len(f.value) > maxValue || !strings.HasPrefix(long, f.value) {
			t.Errorf("%s: %d bytes", f.tag, len(f.value))
		}
	}
	if len(fields) != 4 || total > maxValues {
		t.Errorf("%d values of %d bytes in all", len(fields), total)
	}
	command, args := fill(`test -n "<matches>" -a -n "<ipmatches>"`, fields)
	if err := shell(t.Context(), command, args); err != nil {
		t.Error(err)
	}
}

// TestRemoteReloads: a jail that a client of fail2ban gives another ban time has its action's actionreload run, also by the other process.
func TestRemoteReloads(t *testing.T) {
	t.Parallel()
	ran := make(chan string, 10)
	jail := Jail{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{testAction("a", map[string]string{"actionstart": "start", "actionreload": "reload"}, nil)}}
	worker, _ := serve(t, NewBook([]Jail{jail}, nil, "", 0), ServerOptions{Shell: func(_ context.Context, text string, _ []string) error { ran <- text; return nil }})
	r := NewRemote()
	r.Attach(worker, 0, "")
	h := New([]Jail{jail}, Options{Remote: r})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go h.Run(ctx)
	h.Start(nil)
	jail.BanTime = 700
	h.Update([]Jail{jail}, nil)
	idle(t, h)
	close(ran)
	var got []string
	for text := range ran {
		got = append(got, text)
	}
	if d := cmp.Diff([]string{"start", "reload"}, got); d != "" {
		t.Errorf("commands (-want +got):\n%s", d)
	}
}
