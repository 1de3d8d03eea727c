package screen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/detect"
)

// stuck answers nothing until it is let go: neither names nor commands.
type stuck struct{ free chan struct{} }

func (s stuck) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	select {
	case <-s.free:
		return []netip.Addr{netip.MustParseAddr("198.51.100.7")}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s stuck) run(ctx context.Context, _ *Command, _ []string) (int, error) {
	select {
	case <-s.free:
		return 1, nil
	case <-ctx.Done():
		return -1, ctx.Err()
	}
}

// stage makes a Screen that asks s, and what lets it work and stop.
func (s stuck) stage(t *testing.T) (stage *Screen, start func() (stop func())) {
	t.Helper()
	c, err := NewCommand("/check <fid>", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	stage = New(Options{Resolver: s, Run: s.run, Jails: map[string]Jail{"asked": {Command: c}}})
	return stage, func() func() {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- stage.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

func texts(groups [][]detect.Observation) (out []string) {
	for _, g := range groups {
		for _, o := range g {
			out = append(out, o.Text)
		}
	}
	return out
}

// hand gives the n-th failure to s: with a name, with a name of a jail with a command, or with an address of that jail.
func hand(s *Screen, n int) {
	o := detect.Observation{Text: fmt.Sprint("line ", n), Kind: detect.Failure, ID: fmt.Sprint(n)}
	switch n % 3 {
	case 0:
		s.Resolve("sshd", fmt.Sprintf("h%d.example", n%6), o)
	case 1:
		s.Resolve("asked", "asked.example", o)
	default:
		o.Source = netip.MustParseAddr("198.51.100.9")
		s.Ignored("asked", &o)
	}
}

// TestStopKeepsWhatWaits: what is being asked for when the stage stops is asked for again, by the same stage or by another one.
func TestStopKeepsWhatWaits(t *testing.T) {
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprint("another stage ", other), func(t *testing.T) {
			outside := stuck{make(chan struct{})}
			s, start := outside.stage(t)
			stop := start()
			var want []string
			for n := range 9 {
				hand(s, n)
				want = append(want, fmt.Sprint("line ", n))
			}
			stop()
			if got := s.Take(); len(got) != 0 {
				t.Errorf("counted without an answer: %q", texts(got))
			}
			var got []string
			for _, x := range s.Waiting() {
				got = append(got, x.Observation.Text)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("waiting (-want +got):\n%s", diff)
			}
			if other {
				next, startNext := outside.stage(t)
				next.Again(s.Waiting())
				s, start = next, startNext
			}
			stop = start()
			defer stop()
			close(outside.free)
			next := results(s)
			got = nil
			for range want {
				got = append(got, texts([][]detect.Observation{next()})...)
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			if n := s.Stats().Waiting; n != 0 {
				t.Errorf("%d wait still", n)
			}
		})
	}
}

// TestEachCountsOnce takes, stops, restarts and hands over at random moments: in the end each failure has come out once.
func TestEachCountsOnce(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		outside := stuck{make(chan struct{}, 1<<20)}
		s, start := outside.stage(t)
		stop := start()
		counted := map[string]int{}
		take := func() {
			for _, text := range texts(s.Take()) {
				counted[text]++
			}
		}
		n := 0
		for range 300 {
			switch r.IntN(8) {
			case 0, 1, 2:
				hand(s, n)
				n++
			case 3, 4:
				outside.free <- struct{}{} // one answer
			case 5:
				take()
			case 6:
				stop()
				stop = start()
			case 7:
				stop()
				data, err := EncodeWaiting(s.Waiting())
				if err != nil {
					t.Fatal(err)
				}
				waiting, err := DecodeWaiting(data)
				if err != nil {
					t.Fatal(err)
				}
				s, start = outside.stage(t)
				s.Again(waiting)
				stop = start()
			}
		}
		close(outside.free)
		for take(); s.Stats().Waiting > 0; take() {
			<-s.Ready()
		}
		stop()
		for i := range n {
			if text := fmt.Sprint("line ", i); counted[text] != 1 {
				t.Errorf("seed %d: %q counted %d times", seed, text, counted[text])
			}
		}
	}
}

// TestAgainBySettings: what waited counts, or not, by the settings of the stage that takes it over.
func TestAgainBySettings(t *testing.T) {
	list, err := NewList([]string{"198.51.100.0/24"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	waiting := []Waiting{
		{Observation: detect.Observation{Jail: "listed", Source: netip.MustParseAddr("198.51.100.1"), Text: "listed"}},
		{Observation: detect.Observation{Jail: "listed", Source: netip.MustParseAddr("203.0.113.1"), Text: "counts"}},
		{Host: "x.example", Observation: detect.Observation{Jail: "listed", Text: "too many"}},
	}
	s := New(Options{Queue: 1, Jails: map[string]Jail{"listed": {Ignore: []*List{list}}}})
	s.Again(waiting)
	if diff := cmp.Diff([]string{"counts"}, texts(s.Take())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if st := s.Stats(); st.Names["dropped"] != 1 || st.Waiting != 0 {
		t.Errorf("statistics: %+v", st)
	}
}

// TestWaitingRoundTrip: every field survives, byte for byte.
func TestWaitingRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	o := detect.Observation{
		Time: at, Read: at.Add(time.Second), Source: netip.MustParseAddr("2001:db8::7"), ID: "\xff\x00id", Jail: "sshd", Kind: detect.Knock,
		Target: detect.Target{Address: netip.MustParseAddr("192.0.2.1"), Port: 22, Protocol: 6}, Mark: 1, TTL: 64, Count: 3, Proven: true,
		Text: "a \xfe\"line\"\n", User: "r\xc3oot", Fields: detect.Fields{"user": "r\xc3oot", "f\xff": ""},
	}
	for f := range reflect.TypeFor[detect.Observation]().NumField() {
		if reflect.ValueOf(o).Field(f).IsZero() {
			t.Errorf("the test says nothing of %s", reflect.TypeFor[detect.Observation]().Field(f).Name)
		}
	}
	want := []Waiting{{Host: "h.example", Observation: o}, {Observation: detect.Observation{Jail: "x"}}}
	data, err := EncodeWaiting(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeWaiting(data)
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if data, err := EncodeWaiting(nil); err != nil || len(data) != 0 {
		t.Errorf("nothing is written as %q, %v", data, err)
	}
}

func FuzzDecodeWaiting(f *testing.F) {
	for _, list := range [][]Waiting{nil, {{Host: "h.example"}}, {{Observation: detect.Observation{
		Time: time.Unix(1700000000, 5), Source: netip.MustParseAddr("198.51.100.7"), Jail: "sshd", Text: "\xff", Fields: detect.Fields{"user": "root"},
	}}}} {
		data, err := EncodeWaiting(list)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := DecodeWaiting(data)
		if err != nil {
			return
		}
		again, err := EncodeWaiting(list)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeWaiting(again); err != nil || len(back) != len(list) {
			t.Fatalf("%d of %d come back, %v", len(back), len(list), err)
		}
	})
}
