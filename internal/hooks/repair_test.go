package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
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

// table is what an action works on: a packet filter that somebody can empty.
type table struct {
	mu      sync.Mutex
	exists  map[string]bool // by family
	members map[string]bool
	runs    []string
}

func (t *table) run(_ context.Context, text string, _ []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs = append(t.runs, text)
	f := strings.Fields(text)
	switch f[0] {
	case "start":
		t.exists[f[1]] = true
		return nil
	case "stop":
		t.exists[f[1]] = false
		return nil
	}
	if !t.exists[f[1]] {
		return errors.New("no such table")
	}
	switch f[0] {
	case "ban", "reban":
		t.members[f[2]] = true
	case "unban":
		delete(t.members, f[2])
	}
	return nil
}

func (t *table) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.exists)
	clear(t.members)
}

func (t *table) list() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(sorted(t.members), " ")
}

// TestReban has somebody empty what an action works on: the next ban finds out, and the bans before it are made again, of both families, but not
// those that ended meanwhile.
func TestReban(t *testing.T) {
	t.Parallel()
	tb := &table{exists: map[string]bool{}, members: map[string]bool{}}
	h := runHooks(t, Options{Shell: tb.run}, testAction("x", map[string]string{
		"actionstart": "start <fam>", "actionstop": "stop <fam>", "actioncheck": "check <fam>",
		"actionban": "ban <fam> <ip>", "actionreban": "reban <fam> <ip>", "actionunban": "unban <fam> <ip>",
	}, map[string]string{"fam": "inet", "fam?family=inet6": "inet6"}))
	h.Start(nil)
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"} {
		h.Event(banEvent(warden.EventBan, a))
	}
	idle(t, h)
	h.Event(banEvent(warden.EventUnban, "192.0.2.2"))
	idle(t, h)
	tb.flush()
	h.Event(banEvent(warden.EventBan, "192.0.2.4"))
	idle(t, h)
	if d := cmp.Diff("192.0.2.1 192.0.2.3 192.0.2.4 2001:db8::1", tb.list()); d != "" {
		t.Errorf("-want +got:\n%s\n%s", d, strings.Join(tb.runs, "\n"))
	}
	if again := strings.Count(strings.Join(tb.runs, "\n"), "reban "); again != 3 {
		t.Errorf("%d bans were made again, want 3", again)
	}
	h.Event(banEvent(warden.EventUnban, "192.0.2.1"))
	h.Event(banEvent(warden.EventUnban, "2001:db8::1"))
	idle(t, h)
	if d := cmp.Diff("192.0.2.3 192.0.2.4", tb.list()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestRebanEnds has an action whose ban breaks what it works on each time: that goes round no circles.
func TestRebanEnds(t *testing.T) {
	t.Parallel()
	broken := false
	var mu sync.Mutex
	runs := 0
	shell := func(_ context.Context, text string, _ []string) error {
		mu.Lock()
		defer mu.Unlock()
		runs++
		switch f := strings.Fields(text); {
		case f[0] == "start":
			broken = false
		case f[0] == "ban":
			defer func() { broken = true }()
			fallthrough
		case f[0] == "check":
			if broken {
				return errors.New("broken")
			}
		}
		return nil
	}
	h := runHooks(t, Options{Shell: shell}, testAction("x", map[string]string{"actionstart": "start", "actioncheck": "check", "actionban": "ban <ip>"}, nil))
	h.Start(nil)
	for i := range 10 {
		h.Event(banEvent(warden.EventBan, fmt.Sprintf("192.0.2.%d", i)))
	}
	idle(t, h)
	if mu.Lock(); runs > 1000 {
		t.Errorf("%d commands were run", runs)
	}
	mu.Unlock()
}

// TestUnclean has a run after one that was killed: what that left is flushed before bans are made again.
func TestUnclean(t *testing.T) {
	t.Parallel()
	e := banEvent(warden.EventBan, "192.0.2.1")
	commands := map[string]string{"actionstart": "start", "actionban": "ban <ip>", "actionflush": "flush", "actionstop": "stop"}
	for _, tt := range []struct {
		name    string
		unclean bool
		init    map[string]string
		flush   string
		want    []string
	}{
		{"in order", false, nil, "flush", []string{"start", "ban 192.0.2.1"}},
		{"killed", true, nil, "flush", []string{"start", "flush", "ban 192.0.2.1"}},
		{"killed, on demand", true, map[string]string{"x": "4", "x?family=inet6": "6"}, "flush <x>", []string{"start", "flush 4", "flush 6", "ban 192.0.2.1"}},
		{"killed, nothing to flush with", true, nil, "", []string{"start", "ban 192.0.2.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &spy{}
			c := maps.Clone(commands)
			c["actionflush"] = tt.flush
			h := runHooks(t, Options{Shell: s.run, Unclean: tt.unclean}, testAction("x", c, tt.init))
			h.Start([]ledger.Ban{e.Ban})
			idle(t, h)
			if d := cmp.Diff(tt.want, s.all()); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// TestRoomForEnds keeps the ends of bans where bans are dropped already.
func TestRoomForEnds(t *testing.T) {
	t.Parallel()
	s := &spy{}
	h := New([]Jail{{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{testAction("x", map[string]string{"actionban": "ban <ip>", "actionunban": "unban <ip>"}, nil)}}},
		Options{Shell: s.run, Queue: 5})
	h.Start(nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	h.Event(banEvent(warden.EventBan, "192.0.2.1"))
	idle(t, h)
	cancel() // nobody works from here on
	<-done
	for i := range 10 {
		h.Event(banEvent(warden.EventBan, fmt.Sprintf("192.0.2.%d", 100+i)))
	}
	h.Event(banEvent(warden.EventUnban, "192.0.2.1"))
	if st := h.Stats(); st.Dropped != 5 || st.Waiting != 6 {
		t.Errorf("dropped %d, waiting %d; want 5, 6: the end of a ban was dropped", st.Dropped, st.Waiting)
	}
}

// TestLongValues hands over no more of the logs than a system takes.
func TestLongValues(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	h := runHooks(t, Options{History: func(netip.Prefix, string) []ledger.Ban {
		return []ledger.Ban{{Story: ledger.Story{Failures: 3, Evidence: []detect.Evidence{{Text: strings.Repeat("ä'\n", 100000) + "the end"}}}}}
	}}, testAction("x", map[string]string{"actionban": `printf '%s|%s|%s' "<matches>" "<ipmatches>" "<ipjailmatches>" > <out>`}, map[string]string{"out": out}))
	h.Start(nil)
	e := banEvent(warden.EventBan, "192.0.2.1")
	e.Ban.Story.Evidence = []detect.Evidence{{Text: strings.Repeat("x", 1000000) + "'"}}
	h.Event(e)
	idle(t, h)
	text, err := os.ReadFile(out)
	if err != nil || h.Stats().Failed["ban"] != 0 {
		t.Fatalf("%v; %v", err, h.Stats())
	}
	parts := strings.Split(string(text), "|")
	if len(parts) != 3 || len(parts[0]) != mostText || !strings.HasSuffix(parts[1], "\nthe end") || len(parts[1]) > mostText || strings.Contains(parts[1], "\uFFFD") {
		t.Errorf("%d parts of %d bytes in all", len(parts), len(text))
	}
}

// TestBackground: a command that leaves something behind it holds up nobody, and one that ignores the signal to end is killed, with all that it
// started and without leaving a zombie.
func TestBackground(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pid := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(text))
	}
	began := time.Now()
	if err := shell(t.Context(), `sleep 600 & echo $! > "$0/left"`, []string{dir}); err != nil {
		t.Errorf("leaving something in the background: %v", err)
	}
	if took := time.Since(began); took > 5*time.Minute { // half of what sleeps
		t.Errorf("it took %v", took)
	}
	_ = exec.Command("kill", pid("left")).Run()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- shell(ctx, `trap '' TERM; echo $$ > "$0/stubborn"; (trap '' TERM; echo $$ > /dev/null; while :; do sleep 1; done) & echo $! > "$0/child"; while :; do sleep 1; done`, []string{dir})
	}()
	testkit.Within(t, 20*time.Second, "both are started", func() bool { return pid("stubborn") != "" && pid("child") != "" })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a command that does not end: %v", err)
	}
	for _, name := range []string{"stubborn", "child"} {
		p := pid(name)
		testkit.Within(t, 10*time.Second, "the end of "+name, func() bool {
			state, err := os.ReadFile("/proc/" + p + "/stat")
			return err != nil || name == "child" && strings.Contains(string(state), ") Z ") // an orphan is init's to bury, which a container may lack
		})
	}
}

// TestBoundedOutput keeps little of what a command says.
func TestBoundedOutput(t *testing.T) {
	t.Parallel()
	err := shell(t.Context(), `head -c 10000000 /dev/zero | tr '\0' x; exit 3`, nil)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || len(err.Error()) > 2000 || !strings.Contains(err.Error(), "xxx") {
		t.Errorf("%.100v", err)
	}
}

func sorted(m map[string]bool) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TestUncleanHandedOver: a daemon that left its actions to the next one was not killed, and nothing is cleared after it.
func TestUncleanHandedOver(t *testing.T) {
	t.Parallel()
	s := &spy{}
	h := New([]Jail{{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{testAction("x", map[string]string{"actionstart": "start", "actionflush": "flush"}, nil)}}}, Options{Shell: s.run, Unclean: true})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go h.Run(ctx)
	h.Adopt(nil)
	h.Start(nil)
	idle(t, h)
	if d := cmp.Diff([]string{"start"}, s.all()); d != "" {
		t.Errorf("commands (-want +got):\n%s", d)
	}
}
