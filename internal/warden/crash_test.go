package warden

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pfwarden/internal/ledger"
)

// crashWorld is a ledger and a PF that note at which moment they were told what, let more be decided while they are at work, and may end the
// process before or after each of their steps.
type crashWorld struct {
	rt      *rapid.T
	ctx     context.Context
	now     time.Time
	warden  *Warden
	ledger  ledger.Memory
	entries map[Entry]bool
	decide  func() // something more, or nothing
	present *model // what was decided
	durable *model // the same, as far as the ledger has it
	crashAt int    // this many moments from now
	calm    bool   // PF takes everything
}

var errStuck = errors.New("pfctl is stuck")

// stuck says whether PF takes nothing this time.
func (w *crashWorld) stuck() bool {
	return !w.calm && rapid.IntRange(0, 9).Draw(w.rt, "stuck") == 9
}

// crashed is what a process is ended by.
type crashed struct{}

func (w *crashWorld) moment() {
	if w.crashAt--; w.crashAt == 0 {
		panic(crashed{})
	}
	w.decide()
}

func (w *crashWorld) Record(ctx context.Context, b ledger.Batch) error {
	taken := w.present.clone() // nothing was decided since the batch was
	w.moment()
	if err := w.ledger.Record(ctx, b); err != nil {
		return err
	}
	w.durable = taken
	w.moment()
	return nil
}

// durably tells whether the ledger says that PF is to hold an entry.
func (w *crashWorld) durably(e Entry) bool {
	return slices.Contains(w.durable.desired(), e.Table+" "+e.Prefix.String())
}

func (w *crashWorld) Add(_ context.Context, entries ...Entry) error {
	if w.stuck() {
		w.moment()
		return errStuck
	}
	for _, e := range entries {
		if !w.durably(e) {
			w.rt.Fatalf("PF hears of %v before the ledger does", e)
		}
		w.moment()
		w.entries[Entry{Table: e.Table, Prefix: e.Prefix}] = true
		w.moment()
	}
	return nil
}

func (w *crashWorld) Delete(_ context.Context, entries ...Entry) error {
	if w.stuck() {
		w.moment()
		return errStuck
	}
	for _, e := range entries {
		if w.durably(e) && !w.present.forbidden(e.Prefix) { // the never-list does not wait for the ledger
			w.rt.Fatalf("PF lets %v go before the ledger does", e)
		}
		w.moment()
		delete(w.entries, Entry{Table: e.Table, Prefix: e.Prefix})
		w.moment()
	}
	return nil
}

func (w *crashWorld) hear(e Event) {
	if e.Kind != EventRefuse && e.Why != "never" && e.Time.After(w.durable.now) {
		w.rt.Fatalf("%v of %v is told before the ledger has it", e.Kind, e.Ban.Prefix)
	}
	w.moment()
}

// crashStore is a Memory of which crashWorld hears.
type crashStore struct {
	*ledger.Memory
	world *crashWorld
}

func (s crashStore) Record(ctx context.Context, b ledger.Batch) error { return s.world.Record(ctx, b) }

func (m *model) clone() *model {
	c := *m
	c.live, c.steps, c.suspects, c.never = maps.Clone(m.live), maps.Clone(m.steps), maps.Clone(m.suspects), slices.Clone(m.never)
	return &c
}

// TestCrashAnywhere bans, unbans and bans again, while the ledger is written and PF is told too, and ends the process at any moment. PF is told
// of nothing that the ledger does not say, in either direction; nobody hears of what might not have been; and what is in force after the crash is
// what was decided when the ledger was last written: no ban that had ended by then, and none that had been made missing.
func TestCrashAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &crashWorld{rt: rt, ctx: t.Context(), now: t0, entries: map[Entry]bool{}, present: newModel(100)}
		w.durable = w.present.clone()
		w.begin()
		w.decide = func() {
			for range rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3}).Draw(rt, "more") {
				w.act()
			}
		}
		for range rapid.IntRange(1, 4).Draw(rt, "lives") {
			w.crashAt = rapid.IntRange(1, 60).Draw(rt, "crash")
			w.live()
			w.crashAt = 0
			w.present = w.durable.clone()
			w.present.tick(w.now)
			more := w.decide
			w.decide, w.calm = func() {}, true
			w.begin()
			w.compareBans()
			w.comparePF()
			w.decide, w.calm = more, false
		}
	})
}

// begin starts a warden from the ledger.
func (w *crashWorld) begin() {
	var err error
	w.warden, err = New(w.ctx, Config{OnEvent: w.hear}, crashStore{&w.ledger, w}, w, &NeverList{}, w.now)
	if err != nil {
		w.rt.Fatal(err)
	}
}

func (w *crashWorld) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.present.tick(w.now)
}

// live decides and commits ten times, or until the crash.
func (w *crashWorld) live() {
	defer func() {
		if e := recover(); e != nil {
			if _, ok := e.(crashed); !ok {
				panic(e)
			}
		}
	}()
	for range 10 {
		w.decide()
		if err := w.warden.Commit(w.ctx); err != nil && !errors.Is(err, errStuck) {
			w.rt.Fatal(err)
		}
	}
}

// act has the warden and its model do one thing more.
func (w *crashWorld) act() {
	m, p := w.present, pfx(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "2001:db8:0:1::/64"}).Draw(w.rt, "source"))
	w.pass(time.Second)
	switch rapid.IntRange(0, 9).Draw(w.rt, "what") {
	case 0, 1:
		v := proven(w.now, "192.0.2.1")
		v.Source = p
		w.warden.Judge(w.now, v)
		m.judge(p, true)
	case 2:
		v := spoofable(w.now, "192.0.2.1")
		v.Source = p
		w.warden.Judge(w.now, v)
		m.judge(p, false)
	case 3, 4:
		if _, _, err := w.warden.Ban(w.now, p, time.Hour, "", "root"); err != nil && !m.paused && !m.forbidden(p) {
			w.rt.Fatal(err)
		}
		m.ban(p, time.Hour)
	case 5, 6:
		if _, _, err := w.warden.Unban(w.now, p, "root"); err != nil {
			w.rt.Fatal(err)
		}
		delete(m.steps, p)
		delete(m.suspects, p)
		m.forgive(p)
	case 7:
		w.pass(10 * time.Minute)
		w.warden.Tick(w.now)
	case 8:
		flush := rapid.Bool().Draw(w.rt, "flush")
		w.warden.Pause(w.now, flush, "root")
		m.paused, m.flushed = true, m.flushed || flush
		if rapid.Bool().Draw(w.rt, "resume") {
			w.pass(time.Second)
			w.warden.Resume(w.now, "root")
			m.paused, m.flushed = false, false
		}
	case 9:
		if _, err := w.warden.AddNever(w.now, p, "root", ""); err != nil {
			w.rt.Fatal(err)
		}
		m.never = append(m.never, p)
		m.forgive(p)
		if rapid.Bool().Draw(w.rt, "remove") {
			if err := w.warden.RemoveNever(w.now, p); err != nil {
				w.rt.Fatal(err)
			}
			m.never = slices.DeleteFunc(m.never, func(q netip.Prefix) bool { return q == p })
		}
	}
}

// compareBans compares the bans in force after a crash with the model's, and makes sure that the warden knows all that is in PF.
func (w *crashWorld) compareBans() {
	got := map[string]time.Time{}
	for _, b := range w.warden.Live() {
		got[b.Table+" "+b.Prefix.String()] = b.Until
	}
	want := map[string]time.Time{}
	for p, b := range w.present.live {
		want[b.table+" "+p.String()] = b.until
	}
	if !maps.Equal(got, want) {
		w.rt.Fatalf("in force after the crash: %v, want %v", got, want)
	}
	known := map[Entry]bool{}
	for _, e := range slices.Concat(w.warden.Desired(), w.warden.Leaving()) {
		known[Entry{Table: e.Table, Prefix: e.Prefix}] = true
	}
	for e := range w.entries {
		if !known[e] && !w.present.flushed {
			w.rt.Fatalf("%v is in PF and looks foreign", e)
		}
	}
}

// comparePF does as the driver does at its start, commits what is left to do, and compares PF's tables with the model's.
func (w *crashWorld) comparePF() {
	for _, e := range w.warden.Desired() {
		w.entries[Entry{Table: e.Table, Prefix: e.Prefix}] = true
	}
	for n, states := w.warden.Staged(); n+states > 0; n, states = w.warden.Staged() {
		if err := w.warden.Commit(w.ctx); err != nil {
			w.rt.Fatal(err)
		}
	}
	inPF := []string{}
	for e := range w.entries {
		inPF = append(inPF, e.Table+" "+e.Prefix.String())
	}
	slices.Sort(inPF)
	if want := w.present.desired(); !slices.Equal(inPF, want) {
		w.rt.Fatalf("PF holds %v after the crash, want %v", inPF, want)
	}
}
