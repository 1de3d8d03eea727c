package privsep

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/detect"
	"pfwarden/pfctl"
)

// guarded starts a guard and gives the worker's end, too.
func guarded(t *testing.T) (*Guard, *Client, *recorder) {
	t.Helper()
	r := &recorder{}
	s := testSettings(t.TempDir())
	g, err := NewGuard(GuardOptions{Settings: s, Changes: r, Reads: r})
	if err != nil {
		t.Fatal(err)
	}
	return g, serveAgain(t, g, &s), r
}

// serveAgain gives another worker's end.
func serveAgain(t *testing.T, g *Guard, s *Settings) *Client {
	t.Helper()
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = serveOn(context.Background(), g, ours) }()
	c, err := NewClient(theirs, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func prefixList(texts ...string) (list []netip.Prefix) {
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// TestTaughtNever: what one worker adds to the never-list no later one can ban, until the configuration is read again; deleting it from tables, where
// it may stand already, is not kept from anybody.
func TestTaughtNever(t *testing.T) {
	t.Parallel()
	g, c, r := guarded(t)
	if untold, err := c.GuardNever(prefixList("203.0.113.5/32", "2001:db8:5::/48"), false); err != nil || untold != nil {
		t.Fatal(untold, err)
	}
	run := func(c *Client, verb, list string) string {
		t.Helper()
		_, err := c.Run(t.Context(), pfctl.Command{Args: strings.Fields("-a outer/pfwarden -t banned -T " + verb + " -f -"), Stdin: []byte(list)})
		if err != nil {
			t.Fatal(err)
		}
		var in []string
		for _, x := range r.take() {
			in = append(in, string(x.Stdin))
		}
		return strings.Join(in, "|")
	}
	const list = "203.0.113.5\n203.0.113.6\n203.0.113.0/24\n2001:db8:5::7\n2001:db8:6::7\n"
	later := serveAgain(t, g, g.settings.Load())
	g.Refresh()
	for name, worker := range map[string]*Client{"the same": c, "a later": later} {
		for _, verb := range []string{"add", "replace"} {
			if got := run(worker, verb, list); got != "203.0.113.6\n2001:db8:6::7\n" {
				t.Errorf("%s worker, %s: %q went in", name, verb, got)
			}
		}
		if got := run(worker, "delete", list); got != list {
			t.Errorf("%s worker deleted %q", name, got)
		}
		for range maxViolations + 2 { // which is no sign of a worker that lies
			if _, err := worker.Run(t.Context(), pfctl.Command{Args: []string{"-k", "203.0.113.5"}}); err != nil || len(r.take()) > 0 {
				t.Errorf("%s worker killed states: %v", name, err)
			}
		}
		if _, err := worker.Run(t.Context(), pfctl.Command{Args: []string{"-k", "198.51.100.7"}}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s worker killed states of a configured entry: %v", name, err)
		}
	}
	if err := g.Change(*g.settings.Load()); err != nil {
		t.Fatal(err)
	}
	if got := run(later, "add", list); got != list {
		t.Errorf("after a reload: %q went in", got)
	}
}

// TestTaughtBounds: entries that would keep everything from being banned, or of which there are too many, are not taken; the rest is.
func TestTaughtBounds(t *testing.T) {
	t.Parallel()
	g, c, _ := guarded(t)
	protects := func(text string) bool { return g.protects(netip.MustParsePrefix(text)) != "" }
	untold, err := c.GuardNever(prefixList("0.0.0.0/0", "::/0", "128.0.0.0/7", "203.0.113.5/32", "fc00::/7", "fe80::/10", "224.0.0.0/4"), false)
	if untold != nil || !errors.Is(err, ErrNotGuarded) || !strings.Contains(err.Error(), "3 entries") || protects("192.0.2.1/32") {
		t.Errorf("too wide: %v, untold %v", err, untold)
	}
	for _, text := range []string{"203.0.113.5/32", "fd00:1::5/128", "fe80::/64"} {
		if !protects(text) {
			t.Errorf("%s is not guarded", text)
		}
	}
	var many []netip.Prefix
	for i := range 2 * maxTaught {
		many = append(many, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 32))
	}
	many = append(many, many[:9]...) // which are in the third request, and known by then
	if untold, err := c.GuardNever(many, false); untold != nil || !errors.Is(err, ErrNotGuarded) || !strings.Contains(err.Error(), "beyond") {
		t.Errorf("too many: %v, untold %v", err, untold)
	}
	if _, err := c.GuardNever(many[:100], true); err != nil {
		t.Errorf("those it has: %v", err)
	}
	g.never.mu.Lock()
	defer g.never.mu.Unlock()
	if n := len(g.never.taught); n != maxTaught {
		t.Errorf("it keeps %d", n)
	}
	if g.Counts().Refused > 0 {
		t.Errorf("an honest worker counts as refused: %+v", g.Counts())
	}
}

// TestTaughtPartly: that an entry of the first request is too wide keeps those of the next from nothing, and only what got no answer is told again.
func TestTaughtPartly(t *testing.T) {
	t.Parallel()
	g, c, _ := guarded(t)
	list := prefixList("2000::/3")
	for i := range maxTaught {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, 0}), 32))
		if i == maxTaught-1 {
			list[len(list)-1] = netip.MustParsePrefix("198.18.0.1/32")
		}
	}
	if untold, err := c.GuardNever(list, false); untold != nil || !errors.Is(err, ErrNotGuarded) {
		t.Errorf("%v, untold %v", err, untold)
	}
	if g.protects(list[len(list)-1]) == "" {
		t.Error("the second request was not made")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if untold, err := c.GuardNever(list, true); len(untold) != len(list) || err == nil || errors.Is(err, ErrNotGuarded) {
		t.Errorf("without a socket: %v, %d untold", err, len(untold))
	}
}

// TestTaughtLapses: what was told for a while is guarded until workers have told others for a day without it. Silence lets nothing lapse,
// whether the worker is stopped or taken over, and what was told to be kept never does.
func TestTaughtLapses(t *testing.T) {
	t.Parallel()
	var n neverList
	n.set(nil, true)
	now := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	name, other, kept := netip.MustParsePrefix("203.0.113.5/32"), netip.MustParsePrefix("203.0.113.6/32"), netip.MustParsePrefix("203.0.113.7/32")
	teach := func(keep bool, list ...netip.Prefix) {
		t.Helper()
		if err := n.teach(list, keep, now); err != nil {
			t.Fatal(err)
		}
	}
	guarded := func(when string, want ...netip.Prefix) {
		t.Helper()
		var got []netip.Prefix
		for _, p := range []netip.Prefix{name, other, kept} {
			if _, yes := n.overlaps(p); yes {
				got = append(got, p)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s %v are guarded, want %v", when, got, want)
		}
	}
	teach(true, kept)
	teach(false, name, kept)
	for range 30 {
		now = now.Add(time.Hour)
		teach(false, name)
	}
	guarded("told each hour", name, kept)
	now = now.Add(30 * 24 * time.Hour) // no worker
	teach(false)
	guarded("after a month without a worker", name, kept)
	now = now.Add(-40 * 24 * time.Hour) // the clock is set back
	teach(false)
	for range 22 {
		now = now.Add(time.Hour)
		teach(false, other)
	}
	guarded("just within a day", name, other, kept)
	now = now.Add(time.Hour)
	teach(false) // nothing is left of the names: that is told, too
	guarded("after a day", other, kept)
	for range 25 {
		now = now.Add(time.Hour)
		teach(false)
	}
	guarded("after another", kept)

	for hour := range 120 { // names that rotate fill nothing
		now = now.Add(time.Hour)
		var list []netip.Prefix
		for i := range 256 {
			list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(hour), byte(i)}), 32))
		}
		teach(false, list...)
	}
	n.set(nil, true)
	guarded("after a reload")
}

// TestAwhileIsForTheNeverList: no table with a name can be told for a while, and only the never-list may be told of nothing.
func TestAwhileIsForTheNeverList(t *testing.T) {
	t.Parallel()
	some := []address{{Prefix: netip.MustParsePrefix("203.0.113.5/32")}}
	for name, c := range map[string]struct {
		r    request
		want bool
	}{
		"entries":            {request{way: tableAwhile, addresses: some}, true},
		"none are left":      {request{way: tableAwhile}, true},
		"a table":            {request{way: tableAwhile, anchor: "outer/pfwarden", table: "banned", addresses: some}, false},
		"none of a table":    {request{way: tableAwhile, anchor: "outer/pfwarden", table: "banned"}, false},
		"none to be kept":    {request{way: tableAdd}, false},
		"a way beyond":       {request{way: tableAwhile + 1, addresses: some}, false},
		"a table in no room": {request{way: tableAwhile, table: "banned", addresses: some}, false},
	} {
		c.r.kind = kindTable
		if _, err := parseRequest(kindTable, c.r.encode()); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCountsAreLogged: the log says how much was refused when a worker has gone, and nothing where nothing was.
func TestCountsAreLogged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ address, want string }{
		"nothing amiss": {"203.0.113.5", ""},
		"a liar":        {"127.0.0.1", "refused=1 breaches=0"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			r, s := &recorder{}, testSettings(t.TempDir())
			g, err := NewGuard(GuardOptions{Settings: s, Changes: r, Reads: r, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs, err := socketPair()
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- serveOn(context.Background(), g, ours) }()
			client, err := NewClient(theirs, &s)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = client.Run(t.Context(), pfctl.Command{Args: []string{"-k", c.address}}) // refused, or not
			if err := errors.Join(client.Close(), <-served); err != nil {
				t.Fatal(err)
			}
			if _, text, _ := strings.Cut(log.String(), "workers asked for what they may not have"); strings.Contains(text, "refused=") != (c.want != "") || !strings.Contains(text, c.want) {
				t.Errorf("the log says %q, want %q", log.String(), c.want)
			}
		})
	}
}

// TestNobody: a worker that lies can ban none of the addresses that nobody can send from, at both ends of each of their networks and beyond them.
func TestNobody(t *testing.T) {
	t.Parallel()
	g, _, _ := guarded(t)
	for _, p := range nobody() {
		last := p.Addr().AsSlice()
		for i := p.Bits(); i < 8*len(last); i++ {
			last[i/8] |= 0x80 >> (i % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		for _, a := range []netip.Addr{p.Addr(), end, p.Addr().Prev(), end.Next()} {
			if !a.IsValid() {
				continue
			}
			one := netip.PrefixFrom(a, a.BitLen())
			if got := g.protects(one) != ""; got != detect.Bogon(a) {
				t.Errorf("%v of %v: protected is %v, the detector says %v", a, p, got, !got)
			}
		}
	}
	for _, text := range []string{"240.0.0.1", "255.255.255.255", "169.254.169.254", "fe80::1", "febf::1", "ff02::1", "0.0.0.0", "127.0.0.53", "::1", "224.0.0.1"} {
		if g.protects(netip.PrefixFrom(netip.MustParseAddr(text), netip.MustParseAddr(text).BitLen())) == "" {
			t.Errorf("%s can be banned", text)
		}
	}
}

// TestNeverListFinds compares the search with a look at every entry.
func TestNeverListFinds(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6, 11))
	one := func() netip.Prefix {
		a := [16]byte{0x20, byte(random.IntN(4)), byte(random.IntN(4)), byte(random.IntN(4))}
		if random.IntN(2) == 0 {
			return netip.PrefixFrom(netip.AddrFrom16(a), 16+random.IntN(18)).Masked()
		}
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(a[:4])), 8+random.IntN(25)).Masked()
	}
	for range 300 {
		var n neverList
		var all []netip.Prefix
		add := func(count int) (out []netip.Prefix) {
			for range random.IntN(count) {
				out = append(out, one())
			}
			all = append(all, out...)
			return out
		}
		n.set(add(20), false)
		for range 3 {
			if err := n.teach(add(10), true, time.Time{}); err != nil {
				t.Fatal(err)
			}
			for range 50 {
				p, want := one(), false
				for _, e := range all {
					want = want || e.Overlaps(p)
				}
				if e, got := n.overlaps(p); got != want || got && !e.Overlaps(p) {
					t.Fatalf("%v in %v: %v %v, want %v", p, all, e, got, want)
				}
			}
		}
	}
}
