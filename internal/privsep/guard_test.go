package privsep

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// recorder remembers the runs of pfctl that it is asked for.
type recorder struct {
	mu   sync.Mutex
	runs []pfctl.Command
}

// RunTo writes something for readings.
func (r *recorder) RunTo(_ context.Context, c pfctl.Command, stdout *os.File) (pfctl.Result, error) {
	r.mu.Lock()
	r.runs = append(r.runs, whole(c))
	r.mu.Unlock()
	if stdout != nil {
		_, _ = stdout.WriteString("Status: Enabled\n")
	}
	return pfctl.Result{Stderr: []byte("1/1 addresses added.\n")}, nil
}

// whole reads what a command is given into its Stdin.
func whole(c pfctl.Command) pfctl.Command {
	if c.Input != nil {
		c.Stdin, _ = io.ReadAll(c.Input)
		c.Input = nil
	}
	return c
}

func (r *recorder) take() []pfctl.Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.runs
	r.runs = nil
	return out
}

func testSettings(dir string) Settings {
	return Settings{
		Pfctl: "/sbin/pfctl", Files: []string{filepath.Join(dir, "authlog"), filepath.Join(dir, "*access.log"), filepath.Join(dir, "pflog")},
		Anchors: []Anchor{NewAnchor(pfctl.Config{Anchor: "outer/pfwarden"})},
		Never:   []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
	}
}

// pair starts a guard over a recorder and gives the worker's end.
func pair(t testing.TB, dir string) (*Client, *recorder, <-chan error) {
	t.Helper()
	r := &recorder{}
	client, served := pairOver(t, GuardOptions{Settings: testSettings(dir), Changes: r, Reads: r})
	return client, r, served
}

func pairOver(t testing.TB, options GuardOptions) (*Client, <-chan error) {
	t.Helper()
	g, err := NewGuard(options)
	if err != nil {
		t.Fatal(err)
	}
	g.feedTime = 5 * time.Minute // the race detector on a busy machine takes long for the longest list there may be
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serveOn(context.Background(), g, ours) }()
	c, err := NewClient(theirs, &options.Settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, served
}

// serveOn has g serve the worker at the other end of a socket, and takes over the descriptor.
func serveOn(ctx context.Context, g *Guard, socket *os.File) error {
	w, err := newWire(socket)
	if err != nil {
		return err
	}
	return g.serve(ctx, w)
}

// TestShapes sends every run that the driver makes through the socket, and what comes out is the same run; others are refused.
func TestShapes(t *testing.T) {
	t.Parallel()
	c, r, _ := pair(t, t.TempDir())
	rules := NewAnchor(pfctl.Config{Anchor: "outer/pfwarden"}).Rules
	const a = "-a outer/pfwarden "
	for _, x := range []struct {
		args, stdin string
		refused     bool
	}{
		{a + "-f -", rules[0], false}, {a + "-f -", rules[1], false}, {a + "-nf -", rules[0], false},
		{a + "-t banned -T add -f -", "192.0.2.7\n2001:db8::/64\n", false},
		{a + "-t suspects -T replace -f -", "192.0.2.7\n", false},
		{a + "-t banned -T delete -f -", "!192.0.2.7\n192.0.2.8\n198.51.100.9\n", false},
		{a + "-t banned -T flush", "", false}, {a + "-t banned -T show", "", false}, {a + "-t banned -v -T show", "", false},
		{a + "-t banned -vv -s Tables -T show", "", false}, {a + "-v -s Tables", "", false}, {a + "-vv -s Tables", "", false},
		{a + "-v -s rules", "", false}, {"-s info", "", false}, {"-s memory", "", false}, {"-s rules", "", false}, {"-s states", "", false},
		{"-v -s Anchors", "", false}, {"-a outer -s rules", "", false},
		{"-k 192.0.2.7", "", false}, {"-k 0.0.0.0/0 -k 192.0.2.7", "", false}, {"-k ::/0 -k 2001:db8::/64", "", false},

		{"-d", "", true}, {"-F all", "", true}, {"-f /etc/pf.conf", "", true}, {"-f -", rules[0], true}, {"-a other -f -", rules[0], true},
		{a + "-f -", "pass all\n", true}, {a + "-t other -T add -f -", "192.0.2.7\n", true}, {"-a other -t banned -T flush", "", true},
		{a + "-t banned -T add -f -", "192.0.2.7/24\n", true}, {a + "-t banned -T add -f -", "!192.0.2.7\n", true},
		{a + "-t banned -T add -f -", "example.org\n", true}, {a + "-t banned -T add -f /etc/passwd", "", true},
		{a + "-t banned -T kill", "", true}, {"-k 198.51.100.9", "", true}, {"-k 0.0.0.0/0", "", true}, {"-k 0.0.0.0/0 -k ::/0", "", true},
		{"-a elsewhere -s rules", "", true}, {"-s Sources", "", true}, {"-k 192.0.2.7 -k 192.0.2.8", "", true}, {"-e", "", true},
	} {
		var stdin []byte
		if x.stdin != "" {
			stdin = []byte(x.stdin)
		}
		res, err := c.Run(t.Context(), pfctl.Command{Args: strings.Fields(x.args), Stdin: stdin})
		runs := r.take()
		if x.refused {
			if !errors.Is(err, ErrRefused) || len(runs) > 0 {
				t.Errorf("pfctl %s: %v, ran %v", x.args, err, runs)
			}
			continue
		}
		if err != nil || len(runs) != 1 || strings.Join(runs[0].Args, " ") != x.args || string(runs[0].Stdin) != x.stdin {
			t.Errorf("pfctl %s: %v, ran %q", x.args, err, runs)
		}
		if reads := strings.Contains(x.args, "-s") || strings.Contains(x.args, "show"); reads != (string(res.Stdout) == "Status: Enabled\n") {
			t.Errorf("pfctl %s printed %q", x.args, res.Stdout)
		}
	}
}

// TestNeverListed: what may never be banned is left out of a request, and the rest of it goes on.
func TestNeverListed(t *testing.T) {
	t.Parallel()
	c, r, _ := pair(t, t.TempDir())
	add := func(list string) (string, error) {
		_, err := c.Run(t.Context(), pfctl.Command{Args: strings.Fields("-a outer/pfwarden -t banned -T add -f -"), Stdin: []byte(list)})
		var in []string
		for _, x := range r.take() {
			in = append(in, string(x.Stdin))
		}
		return strings.Join(in, "|"), err
	}
	for _, x := range []struct{ list, want string }{
		{"192.0.2.7\n198.51.100.7\n", "192.0.2.7\n"},
		{"198.51.0.0/16\n", ""}, // holds a never-listed network
		{"127.0.0.1\n::1\n224.0.0.1\nff02::1\n0.0.0.0\n", ""},
		{"2000::/3\n64.0.0.0/2\n", ""},
	} {
		if got, err := add(x.list); err != nil || got != x.want {
			t.Errorf("%q: %q, %v, want %q", x.list, got, err, x.want)
		}
	}
}

// TestDriver lets the real driver work over the socket, on a PF in memory.
func TestDriver(t *testing.T) {
	t.Parallel()
	pf, err := pftest.NewGateway("openbsd", "outer/pfwarden")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := pairOver(t, GuardOptions{Settings: testSettings(t.TempDir()), Changes: memoryPF{pf}, Reads: memoryPF{pf}})
	d, err := pfctl.New(pfctl.Config{Anchor: "outer/pfwarden", KillStates: true, Flush: true, Reader: c}, c, slog.New(slog.DiscardHandler), pfctl.SystemClock{})
	if err != nil {
		t.Skipf("driver: %v", err)
	}
	entries := []pfctl.Entry{{Table: pfctl.Banned, Prefix: netip.MustParsePrefix("192.0.2.7/32"), KillStates: true}}
	if err := d.Start(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	counters, err := d.Counters(t.Context(), 0)
	if _, in := counters.Lookup(pfctl.Banned, entries[0].Prefix); err != nil || !in {
		t.Errorf("counters %+v, %v", counters, err)
	}
	if v, err := d.View(t.Context()); err != nil || len(v.Faults) > 0 || len(v.Tables) == 0 {
		t.Errorf("view %+v, %v", v, err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

type memoryPF struct{ pf pfctl.Runner }

// RunTo runs the PF in memory.
func (m memoryPF) RunTo(ctx context.Context, c pfctl.Command, stdout *os.File) (pfctl.Result, error) {
	res, err := m.pf.Run(ctx, whole(c))
	if stdout != nil {
		_, _ = stdout.Write(res.Stdout)
		res.Stdout = nil
	}
	return res, err
}

// TestLyingWorker: whoever breaks the protocol, sends descriptors, or asks again and again for what he may not have, is ended.
func TestLyingWorker(t *testing.T) {
	t.Parallel()
	header := func(kind byte, size uint32) []byte {
		b := make([]byte, headerSize)
		b[0] = kind
		binary.BigEndian.PutUint32(b[8:], size)
		return b
	}
	for _, c := range []struct {
		name string
		send func(w *wire) error
	}{
		{"a seventh request", func(w *wire) error { return w.send(frame{kind: 7}) }},
		{"garbage", func(w *wire) error {
			_, err := w.conn.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 10))
			return err
		}},
		{"a payload beyond the bound", func(w *wire) error { _, err := w.conn.Write(header(kindTable, 1<<31)); return err }},
		{"a descriptor", func(w *wire) error {
			f, err := os.Open("/dev/null")
			if err != nil {
				return err
			}
			defer f.Close()
			return w.send(frame{kind: kindOpen, file: f})
		}},
		{"what it may not have, again and again", func(w *wire) error {
			for range maxViolations + 1 {
				r := request{kind: kindOpen, way: openFile, path: "/etc/shadow"}
				if err := w.send(frame{kind: r.kind, payload: r.encode()}); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, r, served := pair(t, t.TempDir())
			if err := c.send(client.wire); err != nil {
				t.Fatal(err)
			}
			if err := <-served; !errors.Is(err, errProtocol) {
				t.Errorf("served until %v", err)
			}
			if runs := r.take(); len(runs) > 0 {
				t.Errorf("ran %v", runs)
			}
			<-client.Gone()
		})
	}
}

// TestPace: more than the rate waits.
func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	p := &pace{every: time.Second, most: 2, tokens: 2}
	clock := func() time.Time { return now }
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a wait ends at once, with an error
	for i, step := range []struct {
		after time.Duration
		waits bool
	}{{0, false}, {0, false}, {0, true}, {time.Second, false}, {0, true}, {-time.Hour, true}, {time.Hour, false}, {0, false}, {0, true}} {
		now = now.Add(step.after)
		if err := p.wait(ctx, clock); (err != nil) != step.waits {
			t.Errorf("step %d: %v", i, err)
		}
	}
}

// FuzzGuard sends frames to a guard: it never panics, and never runs anything but the six requests' commands on configured names.
func FuzzGuard(f *testing.F) {
	for _, r := range requests() {
		f.Add(r.kind, r.encode())
	}
	f.Add(kindOpen, (&request{kind: kindOpen, way: openFile, path: "/etc/shadow"}).encode())
	f.Add(kindTable, (&request{kind: kindTable, way: tableAdd, anchor: "outer/pfwarden", table: "banned", addresses: prefixes("198.51.100.7/32", "192.0.2.7/32")}).encode())
	f.Add(kindRead, (&request{kind: kindRead, way: readAnchorCall, anchor: "outer"}).encode())
	s := testSettings("/nonexistent")
	g, err := NewGuard(GuardOptions{Settings: s, Changes: &recorder{}, Reads: &recorder{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		r, err := parseRequest(kind, payload)
		if err != nil {
			return
		}
		switch r.kind {
		case kindOpen:
			if r.way == openFile && s.MayOpen(r.path) && !strings.HasPrefix(r.path, "/nonexistent/") {
				t.Fatalf("may open %q", r.path)
			}
			return
		case kindCapture:
			return
		}
		c, why := g.command(r)
		if why != "" || c.Args == nil {
			return
		}
		if r.follow > 0 { // the addresses come after, and FuzzFeed has them
			c.Input = nil
		}
		c = whole(c)
		checkCommand(t, &s, c)
	})
}

// checkCommand is the slow twin of the guard's checks: it looks at the words of the command alone.
func checkCommand(t *testing.T, s *Settings, c pfctl.Command) {
	t.Helper()
	line := strings.Join(c.Args, " ")
	own := []string{"-s info", "-s memory", "-s rules", "-s states", "-v -s Anchors", "-a outer -s rules"}
	for _, v := range []string{"-f -", "-nf -", "-v -s rules", "-v -s Tables", "-vv -s Tables"} {
		own = append(own, "-a outer/pfwarden "+v)
	}
	for _, table := range []string{"banned", "suspects"} {
		for _, v := range []string{"-T add -f -", "-T delete -f -", "-T replace -f -", "-T flush", "-T show", "-v -T show", "-vv -s Tables -T show"} {
			own = append(own, fmt.Sprintf("-a outer/pfwarden -t %s %s", table, v))
		}
	}
	kill := len(c.Args) >= 2 && c.Args[0] == "-k" && (len(c.Args) == 2 || len(c.Args) == 4)
	if !kill && !slices.Contains(own, line) {
		t.Fatalf("would run pfctl %s", line)
	}
	if kill && strings.HasPrefix(c.Args[len(c.Args)-1], "198.51.100.") {
		t.Fatalf("would kill the states of a never-listed address: %s", line)
	}
	if strings.HasSuffix(line, "-T add -f -") && strings.Contains(string(c.Stdin), "198.51.100.") {
		t.Fatalf("would ban %s", c.Stdin)
	}
	if strings.Contains(line, "f -") && !strings.Contains(line, "-T") && !slices.Contains(s.Anchors[0].Rules, string(c.Stdin)) {
		t.Fatalf("would load %q", c.Stdin)
	}
}

// TestAddressList: what pfctl is given of a long request is its addresses but those left out, however small the pieces are in which it reads.
func TestAddressList(t *testing.T) {
	t.Parallel()
	r := &request{kind: kindTable, way: tableAdd, anchor: "outer/pfwarden", table: "banned"}
	var want strings.Builder
	a := netip.MustParseAddr("100.64.0.0")
	for i := range 5000 {
		p := netip.PrefixFrom(a, 32)
		if i%7 == 0 {
			p = netip.PrefixFrom(netip.MustParseAddr("198.51.100.7"), 32) // never-listed
		} else {
			fmt.Fprintln(&want, a)
		}
		r.addresses = append(r.addresses, address{Prefix: p})
		a = a.Next()
	}
	g, err := NewGuard(GuardOptions{Settings: testSettings("/nonexistent")})
	if err != nil {
		t.Fatal(err)
	}
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, func(r io.Reader) io.Reader { return r }} {
		var packed []byte
		for _, a := range r.addresses {
			packed = a.append(packed)
		}
		list := &addressList{g: g, table: r.table, next: listOf(packed)}
		got, err := io.ReadAll(wrap(list))
		if err != nil || string(got) != want.String() {
			t.Errorf("%v: %d bytes, want %d", err, len(got), want.Len())
		}
	}
}
