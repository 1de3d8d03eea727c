package screen

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
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pfwarden/detect"
)

// dns is a resolver that the test fills.
type dns struct {
	mu    sync.Mutex
	hosts map[string][]string
	asked map[string]int
	block chan struct{} // if set, lookups wait for it
}

func (d *dns) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if d.block != nil {
		select {
		case <-d.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked == nil {
		d.asked = map[string]int{}
	}
	d.asked[host]++
	var out []netip.Addr
	for _, a := range d.hosts[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if out == nil {
		return nil, fmt.Errorf("lookup %s: no such host", host)
	}
	return out, nil
}

func (d *dns) set(host string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hosts[host] = addrs
}

func run(t *testing.T, opts Options) *Screen {
	t.Helper()
	s := New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// results gives what s hands out, one record after the other.
func results(s *Screen) func() []detect.Observation {
	var queue [][]detect.Observation
	return func() []detect.Observation {
		for len(queue) == 0 {
			<-s.Ready()
			queue = s.Take()
		}
		next := queue[0]
		queue = queue[1:]
		return next
	}
}

func sources(obs []detect.Observation) (out []string) {
	for _, o := range obs {
		out = append(out, o.Source.String())
	}
	return out
}

func TestResolve(t *testing.T) {
	d := &dns{hosts: map[string][]string{"bad.example": {"192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7", "192.0.2.8"}}}
	friends, err := NewList([]string{"192.0.2.8"}, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := run(t, Options{Resolver: d, Jails: map[string]Jail{"sshd": {Ignore: []*List{friends}, Warn: true}}})
	next := results(s)
	s.Resolve("sshd", "Bad.Example.", detect.Observation{Proven: true, Text: "a line"})
	got := next()
	if diff := cmp.Diff([]string{"192.0.2.7", "2001:db8::7"}, sources(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, o := range got {
		if o.Proven || o.Jail != "sshd" || o.Text != "a line" {
			t.Errorf("observation: %+v", o)
		}
	}
	s.Resolve("sshd", "bad.example", detect.Observation{})
	next()
	s.Resolve("sshd", "nobody.example", detect.Observation{})
	s.Resolve("sshd", "bad.example", detect.Observation{}) // comes after it: one worker could do both
	next()
	for _, host := range []string{"", "a b", "$(reboot).example", "192.0.2.7", strings.Repeat("a", 64) + ".example", "-x.example"} {
		s.Resolve("sshd", host, detect.Observation{})
	}
	st := s.Stats()
	if d.asked["bad.example"] != 1 || st.Names["cached"] != 2 || st.Names["invalid"] != 6 || st.Ignored != 3 {
		t.Errorf("asked %v, statistics %+v", d.asked, st)
	}
}

func TestResolveIsBounded(t *testing.T) {
	d := &dns{hosts: map[string][]string{}, block: make(chan struct{})}
	s := run(t, Options{Resolver: d, Queue: 10})
	for i := range 100 {
		s.Resolve("sshd", fmt.Sprintf("h%d.example", i), detect.Observation{})
		s.Resolve("sshd", "same.example", detect.Observation{})
	}
	if st := s.Stats(); st.Waiting != 10 || st.Names["dropped"] != 190 {
		t.Errorf("statistics: %+v", st)
	}
}

func TestNamesExpire(t *testing.T) {
	d := &dns{hosts: map[string][]string{"h.example": {"192.0.2.7"}}}
	var mu sync.Mutex
	now := time.Unix(1700000000, 0)
	s := run(t, Options{Resolver: d, Workers: 1, TTL: time.Minute, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	next := results(s)
	ask := func() []string {
		s.Resolve("sshd", "h.example", detect.Observation{})
		return sources(next())
	}
	ask()
	d.set("h.example", "192.0.2.9")
	if got := ask(); got[0] != "192.0.2.7" {
		t.Errorf("got %v from the cache", got)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if got := ask(); got[0] != "192.0.2.9" {
		t.Errorf("got %v after the time of the answer", got)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache[int](3)
	now := time.Unix(1700000000, 0)
	for i := range 10 {
		c.put(fmt.Sprint(i), i, now.Add(time.Hour))
		c.get("0", now)
	}
	_, kept := c.get("0", now)
	if len(c.byKey) != 3 || c.order.Len() != 3 || !kept {
		t.Errorf("%d and %d answers are kept, the one in use: %v", len(c.byKey), c.order.Len(), kept)
	}
}

func TestListKeepsLastAnswer(t *testing.T) {
	d := &dns{hosts: map[string][]string{"home.example": {"192.0.2.1"}}}
	files := map[string]string{"/etc/never": "# office\n198.51.100.0/24, 2001:db8::1 ; and\n\t[2001:db8::2] 203.0.113.0/255.255.255.128\nnon!sense\n"}
	told := map[string][]netip.Prefix{}
	l, err := NewList([]string{"10.0.0.0/8", "home.example", "file:/etc/never"}, d, func(o string, p []netip.Prefix) { told[o] = p })
	if err != nil {
		t.Fatal(err)
	}
	l.readFile = func(path string) ([]byte, error) {
		text, ok := files[path]
		if !ok {
			return nil, errors.New("input/output error")
		}
		return []byte(text), nil
	}
	errs := l.Refresh(t.Context())
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), `/etc/never:4: "non!sense"`) {
		t.Errorf("errors: %v", errs)
	}
	in := func(addrs ...string) {
		t.Helper()
		for _, a := range addrs {
			if !l.Contains(netip.MustParseAddr(a)) {
				t.Errorf("%s is not in the list", a)
			}
		}
	}
	in("10.1.2.3", "192.0.2.1", "::ffff:192.0.2.1", "198.51.100.200", "2001:db8::1", "2001:db8::2", "203.0.113.127")
	if l.Contains(netip.MustParseAddr("203.0.113.128")) || !l.Overlaps(netip.MustParsePrefix("203.0.113.0/24")) || l.Overlaps(netip.MustParsePrefix("192.0.2.128/25")) {
		t.Error("wrong about 203.0.113.128, 203.0.113.0/24 or 192.0.2.128/25")
	}
	delete(d.hosts, "home.example")
	delete(files, "/etc/never")
	if errs := l.Refresh(t.Context()); len(errs) != 2 {
		t.Errorf("errors: %v", errs)
	}
	in("192.0.2.1", "198.51.100.200")
	d.set("home.example", "192.0.2.99")
	files["/etc/never"] = "" // an empty file is an answer
	l.Refresh(t.Context())
	in("192.0.2.99")
	if l.Contains(netip.MustParseAddr("192.0.2.1")) || l.Contains(netip.MustParseAddr("198.51.100.200")) {
		t.Error("old answers are still in the list")
	}
	want := map[string][]netip.Prefix{
		"config":            {netip.MustParsePrefix("10.0.0.0/8")},
		"name home.example": {netip.MustParsePrefix("192.0.2.99/32")},
		"file /etc/never":   {},
	}
	if diff := cmp.Diff(want, told, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// TestListFiles has names in a file looked up, and a file read again as soon as it was changed.
func TestListFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ignored")
	write := func(text string, at int64) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	write("home.example ; at home\n192.0.2.0/28", 1000)
	d := &dns{hosts: map[string][]string{"home.example": {"198.51.100.1"}, "office.example": {"198.51.100.2"}}}
	l, err := NewList([]string{"file://" + path}, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	held := func() (out []string) {
		for _, a := range []string{"192.0.2.1", "192.0.2.99", "198.51.100.1", "198.51.100.2"} {
			if l.Contains(netip.MustParseAddr(a)) {
				out = append(out, a)
			}
		}
		return out
	}
	watch := make(chan time.Time)
	s := run(t, Options{Resolver: d, Refresh: []*List{l}, Tick: make(chan time.Time), Watch: watch})
	s.Refresh(t.Context())
	if got := held(); !slices.Equal(got, []string{"192.0.2.1", "198.51.100.1"}) {
		t.Errorf("at first %v", got)
	}
	write("office.example,192.0.2.99", 1001)
	watch <- time.Time{}
	watch <- time.Time{} // taken: the check before is done
	if got := held(); !slices.Equal(got, []string{"192.0.2.99", "198.51.100.2"}) {
		t.Errorf("after a change %v", got)
	}
	asked := d.asked["office.example"]
	watch <- time.Time{}
	watch <- time.Time{}
	if d.mu.Lock(); d.asked["office.example"] != asked {
		t.Error("an unchanged file was read again")
	}
	d.mu.Unlock()
	if got := l.Files(); !slices.Equal(got, []string{path}) {
		t.Errorf("files %q", got)
	}
	var opened atomic.Int32 // by the stage, or by the call below
	l.Through(func(p string) (*os.File, error) { opened.Add(1); return os.Open(p) }, os.Stat)
	write("192.0.2.1", 1002)
	if errs := l.RefreshFiles(t.Context()); len(errs) != 0 || opened.Load() == 0 || !slices.Equal(held(), []string{"192.0.2.1"}) {
		t.Errorf("read by somebody else %d times: %v, %v", opened.Load(), held(), errs)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if errs := l.RefreshFiles(t.Context()); len(errs) != 0 || len(held()) != 1 {
		t.Errorf("a file that is gone: %v, %v", held(), errs)
	}
}

func TestListRefusesFaults(t *testing.T) {
	for _, e := range []string{"", "300.1.2.3", "192.0.2.0/33", "a b", "file:", "192.0.2.0/255.0.255.0", "::ffff:0:0/90", "x;y"} {
		if _, err := NewList([]string{e}, &dns{}, nil); err == nil {
			t.Errorf("%q was taken", e)
		}
	}
}

func TestRefreshOfDefaultsAndNames(t *testing.T) {
	d := &dns{hosts: map[string][]string{"home.example": {"192.0.2.1"}}}
	never, err := NewList([]string{"home.example"}, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	tick := make(chan time.Time)
	sys := System{Gateways: func() ([]netip.Addr, error) { return nil, errors.New("no routing socket") }}
	s := run(t, Options{Resolver: d, Defaults: never, Refresh: []*List{never}, System: sys, Tick: tick})
	s.Refresh(t.Context())
	for _, a := range []string{"127.0.0.1", "::1", "192.0.2.1", "224.0.0.1"} {
		if !never.Contains(netip.MustParseAddr(a)) {
			t.Errorf("%s is not in the list", a)
		}
	}
	d.set("home.example", "192.0.2.2")
	tick <- time.Time{}
	tick <- time.Time{} // taken: the refresh before is done
	if !never.Contains(netip.MustParseAddr("192.0.2.2")) {
		t.Error("the name was not looked up again")
	}
	if s.Stats().Refresh == 0 {
		t.Error("the gateways' error was not counted")
	}
}
