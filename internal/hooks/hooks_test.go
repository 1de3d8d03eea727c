package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/detect"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
	"pfwarden/internal/warden"
)

// action makes an action of its commands.
func testAction(name string, commands map[string]string, init map[string]string) fail2ban.Action {
	return fail2ban.Action{Name: name, File: name, Command: commands, Init: init}
}

// runHooks lets hooks work until the test ends.
func runHooks(t *testing.T, o Options, actions ...fail2ban.Action) *Hooks {
	t.Helper()
	h := New([]Jail{{Name: "sshd", BanTime: 600, Actions: actions}}, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func idle(t *testing.T, h *Hooks) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.drained(ctx); err != nil {
		t.Fatal(err)
	}
}

func banEvent(kind warden.EventKind, address string) warden.Event {
	a := netip.MustParseAddr(address)
	since := time.Unix(1795355429, 0)
	return warden.Event{Kind: kind, Time: since, Ban: ledger.Ban{
		Prefix: netip.PrefixFrom(a, a.BitLen()), Jail: "sshd", Since: since, Until: since.Add(10 * time.Minute), Count: 1,
		Story: ledger.Story{Failures: 5, Evidence: []detect.Evidence{
			{Text: "bad `id` of $USER", Fields: detect.Fields{"user": "ro'ot"}}, {Text: "second", Fields: detect.Fields{"user": "other"}},
		}},
	}}
}

// spy is a shell that only notes what it is asked to run.
type spy struct {
	mu   sync.Mutex
	runs []string
	fail func(text string) error
}

func (s *spy) run(_ context.Context, text string, _ []string) error {
	s.mu.Lock()
	s.runs = append(s.runs, text)
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		return fail(text)
	}
	return nil
}

func (s *spy) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.runs)
}

// TestRealShell runs a whole life with /bin/sh.
func TestRealShell(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	h := runHooks(t, Options{}, testAction("log", map[string]string{
		"actionstart": "echo start <name> >> <out>",
		"actionstop":  "echo stop >> <out>",
		"actionban":   `echo "ban <ip> <family> <failures> <time> <bantime> <bancount> <restored> <ip-rev> <F-USER><F-NONE> <jail.name>: <matches>" >> <out>`,
		"actionunban": "echo unban <ip> >> <out>",
	}, map[string]string{"out": out, "name": "sshd"}))
	h.Start(nil)
	h.Event(banEvent(warden.EventBan, "192.0.2.7"))
	idle(t, h)
	h.Event(banEvent(warden.EventUnban, "192.0.2.7"))
	if err := h.Stop(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want := "start sshd\n" +
		"ban 192.0.2.7 inet4 5 1795355429.0 600 1 0 7.2.0.192. ro'ot sshd: bad `id` of $USER\nsecond\n" +
		"unban 192.0.2.7\nstop\n"
	if d := cmp.Diff(want, string(text)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestTimeLimit kills a command that hangs, with what it started, and goes on with the next.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := runHooks(t, Options{}, testAction("hang", map[string]string{
		"actionban": `if [ <ip> = 192.0.2.1 ]; then sleep 600 & echo $! > <dir>/pid; wait; fi; touch <dir>/<ip>`,
	}, map[string]string{"dir": dir, "timeout": "3"})) // enough for the second command, also on a busy machine
	h.Start(nil)
	h.Event(banEvent(warden.EventBan, "192.0.2.1"))
	h.Event(banEvent(warden.EventBan, "192.0.2.2"))
	idle(t, h)
	if _, err := os.Stat(filepath.Join(dir, "192.0.2.2")); err != nil {
		t.Errorf("the other address was not banned: %v", err)
	}
	if s := h.Stats(); s.Failed["ban"] != 1 {
		t.Errorf("%d bans failed, want 1", s.Failed["ban"])
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Within(t, 5*time.Second, "the end of what it started", func() bool { // the kernel takes a moment
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

// TestFamilies starts an action with conditional options on demand, once for each family.
func TestFamilies(t *testing.T) {
	t.Parallel()
	s := &spy{}
	h := runHooks(t, Options{Shell: s.run, Workers: 1}, testAction("tables", map[string]string{
		"actionstart": "<cmd> new", "actionban": "<cmd> add <ip>", "actionunban": "<cmd> del <ip>", "actionstop": "<cmd> gone", "actionflush": "<cmd> flush",
	}, map[string]string{"cmd": "four", "cmd?family=inet6": "six"}))
	h.Start(nil)
	idle(t, h)
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
		h.Event(banEvent(warden.EventBan, a))
		idle(t, h)
	}
	if err := h.Stop(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"four new", "four add 192.0.2.1", "four add 192.0.2.2", "six new", "six add 2001:db8::1", "four flush", "six flush", "four gone", "six gone"}
	if d := cmp.Diff(want, s.all()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestRepair asks the check after a failure, and repairs what it finds wrong.
func TestRepair(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		commands map[string]string
		broken   bool // until a start or a repair
		want     []string
	}{
		{"no check", map[string]string{"actionstart": "start", "actionban": "ban"}, false, []string{"start", "ban", "ban"}},
		{"sane", map[string]string{"actionstart": "start", "actionban": "ban", "actioncheck": "check"}, false, []string{"start", "ban", "check", "ban"}},
		{"restarted", map[string]string{"actionstart": "start", "actionstop": "stop", "actionban": "ban", "actioncheck": "check"}, true,
			[]string{"start", "ban", "check", "stop", "start", "check", "ban"}},
		{"repaired", map[string]string{"actionstart": "start", "actionrepair": "repair", "actionban": "ban", "actioncheck": "check"}, true,
			[]string{"start", "ban", "check", "repair", "check", "ban"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad, broken, starts := true, tt.broken, 0
			s := &spy{}
			s.fail = func(text string) error {
				switch {
				case text == "start":
					if starts++; starts > 1 {
						broken = false
					}
				case text == "repair":
					broken = false
				case text == "check" && broken:
					return errors.New("broken")
				case text == "ban" && (bad || broken):
					bad = false
					return errors.New("no")
				}
				return nil
			}
			h := runHooks(t, Options{Shell: s.run, Workers: 1}, testAction("x", tt.commands, nil))
			h.Start(nil)
			h.Event(banEvent(warden.EventBan, "192.0.2.1"))
			idle(t, h)
			if d := cmp.Diff(tt.want, s.all()); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if f := h.Stats().Failed["ban"]; f != 0 {
				t.Errorf("%d failed", f)
			}
		})
	}
}

// TestOrderAndParallel has several commands run at once, those of one address in order.
func TestOrderAndParallel(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	most, now, seen := 0, 0, map[string][]string{}
	enough := make(chan struct{})
	shell := func(ctx context.Context, text string, _ []string) error {
		mu.Lock()
		f := strings.Fields(text)
		seen[f[1]] = append(seen[f[1]], f[0])
		if now++; now > most {
			if most = now; most == 4 {
				close(enough)
			}
		}
		mu.Unlock()
		select {
		case <-enough:
		case <-ctx.Done():
		}
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	}
	h := runHooks(t, Options{Shell: shell, Timeout: 10 * time.Second}, testAction("x", map[string]string{
		"actionban": "ban <ip>", "actionunban": "unban <ip>", "actionprolong": "prolong <ip>",
	}, nil))
	h.Start(nil)
	for range 1 {
		for i := range 50 {
			h.Event(banEvent(warden.EventBan, fmt.Sprintf("192.0.2.%d", i)))
			h.Event(banEvent(warden.EventProlong, fmt.Sprintf("192.0.2.%d", i)))
		}
	}
	idle(t, h)
	for i := range 50 {
		h.Event(banEvent(warden.EventUnban, fmt.Sprintf("192.0.2.%d", i)))
	}
	idle(t, h)
	if most != 4 {
		t.Errorf("%d at once, want 4", most)
	}
	for a, verbs := range seen {
		if d := cmp.Diff([]string{"ban", "prolong", "unban"}, verbs); d != "" {
			t.Errorf("%s: %s", a, d)
		}
	}
}

// TestBounds drops what there is no room for, and counts it; a ban that ended before its command is spared both.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := &spy{}
	h := New([]Jail{{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{testAction("x", map[string]string{"actionban": "ban <ip>", "actionunban": "unban <ip>"}, nil)}}},
		Options{Shell: s.run, Queue: 5})
	h.Start(nil) // nobody works yet
	for i := range 10 {
		h.Event(banEvent(warden.EventBan, fmt.Sprintf("192.0.2.%d", i)))
	}
	h.Event(banEvent(warden.EventUnban, "192.0.2.0"))
	st := h.Stats()
	if st.Dropped != 6 || st.Spared != 1 || st.Waiting != 4 {
		t.Errorf("dropped %d, spared %d, waiting %d; want 6, 1, 4", st.Dropped, st.Spared, st.Waiting)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go h.Run(ctx)
	idle(t, h)
	if n := len(s.all()); n != 3 {
		t.Errorf("ran %d commands, want 3: %v", n, s.all())
	}
}

// TestUpdate stops what went before it starts what came.
func TestUpdate(t *testing.T) {
	t.Parallel()
	s := &spy{}
	old := testAction("x", map[string]string{"actionstart": "start old", "actionstop": "stop old", "actionban": "old <ip>", "actionunban": "old-un <ip>"}, nil)
	h := runHooks(t, Options{Shell: s.run}, old)
	h.Start(nil)
	e := banEvent(warden.EventBan, "192.0.2.1")
	h.Event(e)
	idle(t, h)
	fresh := testAction("x", map[string]string{"actionstart": "start new", "actionban": "new <ip> <restored>"}, nil)
	h.Update([]Jail{{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{fresh}}}, []ledger.Ban{e.Ban})
	idle(t, h)
	want := []string{"start old", "old 192.0.2.1", "old-un 192.0.2.1", "stop old", "start new", "new 192.0.2.1 1"}
	if d := cmp.Diff(want, s.all()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestNotices writes lines as a recidive jail reads them; an identifier forges none.
func TestNotices(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fail2ban.log")
	n, err := OpenNotices(path)
	if err != nil {
		t.Fatal(err)
	}
	n.pid = 464
	at := time.Date(2026, 11, 22, 13, 50, 29, 282e6, time.Local)
	for _, e := range []warden.Event{banEvent(warden.EventBan, "192.0.2.7"), banEvent(warden.EventRefuse, "192.0.2.8"), banEvent(warden.EventUnban, "192.0.2.7"),
		{Kind: warden.EventBan, Ban: ledger.Ban{Jail: "sshd", Ident: "x\n2026-11-22 13:50:29,282 fail2ban.actions        [464]: NOTICE  [web] Ban 198.51.100.1"}}} {
		if err := n.Event(e, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	want := "2026-11-22 13:50:29,282 fail2ban.actions        [464]: NOTICE  [sshd] Ban 192.0.2.7\n" +
		"2026-11-22 13:50:29,282 fail2ban.actions        [464]: NOTICE  [sshd] Unban 192.0.2.7\n" +
		"2026-11-22 13:50:29,282 fail2ban.actions        [464]: NOTICE  [sshd] Ban x?2026-11-22 13:50:29,282 fail2ban.actions        [464]: NOTICE  [web] Ban 198.51.100.1\n"
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
