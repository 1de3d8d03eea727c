package control

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	root   = Peer{UID: 0}
	reader = Peer{UID: 1001, GID: 100}
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// ask sends one request to a server's handler as peer.
func ask(s *Server, peer *Peer, method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://pfwarden/", strings.NewReader(body))
	path, raw, _ := strings.Cut(target, "?")
	r.URL.Path, r.URL.RawQuery = path, raw
	if peer != nil {
		r = r.WithContext(context.WithValue(r.Context(), peerKey{}, *peer))
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestWhoMayWhat(t *testing.T) {
	t.Parallel()
	self := Peer{UID: uint32(os.Geteuid())}
	for _, tt := range []struct {
		name, method, target, body string
		peer                       *Peer
		want                       int
		calls                      int
	}{
		{"read as reader", "GET", "/v1/status", "", &reader, 200, 1},
		{"bans as reader", "GET", "/v1/bans", "", &reader, 200, 1},
		{"read as nobody known", "GET", "/v1/status", "", nil, 403, 0},
		{"bans as nobody known", "GET", "/v1/bans", "", nil, 403, 0},
		{"ban as reader", "POST", "/v1/ban", `{"addresses":["192.0.2.1"]}`, &reader, 403, 0},
		{"ban as root", "POST", "/v1/ban", `{"addresses":["192.0.2.1"]}`, &root, 200, 1},
		{"ban as the daemon's own user", "POST", "/v1/ban", `{"addresses":["192.0.2.1"]}`, &self, 200, 1},
		{"ban as nobody known", "POST", "/v1/ban", `{"addresses":["192.0.2.1"]}`, nil, 403, 0},
		{"unban as reader", "POST", "/v1/unban", `{"all":true}`, &reader, 403, 0},
		{"pause as reader", "POST", "/v1/pause", `{}`, &reader, 403, 0},
		{"resume as reader", "POST", "/v1/resume", ``, &reader, 403, 0},
		{"never as reader", "POST", "/v1/never/add", `{"addresses":["192.0.2.1"]}`, &reader, 403, 0},
		{"changing by GET", "GET", "/v1/unban", "", &root, 404, 0},
		{"unknown path", "GET", "/v2/status", "", &root, 404, 0},
		{"no JSON", "POST", "/v1/ban", "x", &root, 400, 0},
		{"unknown field", "POST", "/v1/ban", `{"addresses":["192.0.2.1"],"sudo":true}`, &root, 400, 0},
		{"two values", "POST", "/v1/ban", `{"addresses":["192.0.2.1"]}{}`, &root, 400, 0},
		{"no address", "POST", "/v1/ban", `{"addresses":[]}`, &root, 400, 0},
		{"all and some", "POST", "/v1/unban", `{"all":true,"addresses":["192.0.2.1"]}`, &root, 400, 0},
		{"no address for explain", "GET", "/v1/explain", "", &reader, 400, 0},
		{"negative time", "POST", "/v1/ban", `{"addresses":["192.0.2.1"],"seconds":-1}`, &root, 400, 0},
		{"too much", "POST", "/v1/ban", `{"addresses":["` + strings.Repeat("1", maxBody) + `"]}`, &root, 400, 0},
		{"too many", "POST", "/v1/ban", `{"addresses":["192.0.2.1"` + strings.Repeat(`,"192.0.2.1"`, maxAddresses) + `]}`, &root, 400, 0},
		{"reason with a line end", "POST", "/v1/ban", `{"addresses":["192.0.2.1"],"reason":"a\nb"}`, &root, 400, 0},
		{"bad address among good", "POST", "/v1/never/add", `{"addresses":["192.0.2.1","nonsense"]}`, &root, 400, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := &recorder{}
			w := ask(NewServer(service, quiet(), Limits{}), tt.peer, tt.method, tt.target, tt.body)
			if w.Code != tt.want || len(service.calls) != tt.calls {
				t.Errorf("got %d and calls %q (%s), want %d and %d calls", w.Code, service.calls, w.Body, tt.want, tt.calls)
			}
		})
	}
}

// start serves a service on a socket of its own.
func start(t *testing.T, service Service, who func(*net.UnixConn) (Peer, error), l Limits) (path string, stop func() error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	listener, err := Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(service, quiet(), l)
	if who != nil {
		s.who = who
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	t.Cleanup(cancel)
	return path, func() error { cancel(); return <-ended }
}

func TestOverTheSocket(t *testing.T) {
	t.Parallel()
	service := &recorder{bans: make([]Ban, 5000)}
	for i := range service.bans {
		service.bans[i] = Ban{Address: "192.0.2.7", Since: time.Unix(int64(i), 0).UTC()}
	}
	path, stop := start(t, service, nil, Limits{})
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o660 || info.Mode().Type() != fs.ModeSocket {
		t.Fatalf("the socket is %v, %v", info.Mode(), err)
	}
	c := NewClient(path)
	defer c.Close()
	status, err := c.Status(t.Context(), "")
	if err != nil || status.Version != "test" {
		t.Fatalf("got %+v, %v", status, err)
	}
	n := 0
	for b, err := range c.Bans(t.Context(), BanQuery{}) {
		if err != nil || b.Since.Unix() != int64(n) {
			t.Fatalf("ban %d: %+v, %v", n, b, err)
		}
		n++
	}
	if n != len(service.bans) {
		t.Errorf("got %d bans", n)
	}
	many := make([]netip.Prefix, maxAddresses+5)
	for i := range many {
		many[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	result, err := c.Ban(t.Context(), BanOrder{Prefixes: many, For: time.Hour})
	if err != nil || len(result.Bans) != len(many) || result.Bans[maxAddresses].Address != FormatPrefix(many[maxAddresses]) {
		t.Errorf("a long order: %d bans, %v", len(result.Bans), err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := c.Status(t.Context(), ""); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v, want ErrNotRunning", err)
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	for _, want := range []error{ErrNotPermitted, ErrNotFound, ErrBadRequest, ErrBusy, errors.ErrUnsupported, context.DeadlineExceeded} {
		path, _ := start(t, &recorder{err: errors.Join(errors.New("detail"), want)}, nil, Limits{})
		_, err := NewClient(path).Status(t.Context(), "")
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "detail") {
			t.Errorf("got %v, want %v with its detail", err, want)
		}
	}
}

func TestReaderOverTheSocket(t *testing.T) {
	t.Parallel()
	path, _ := start(t, &recorder{}, func(*net.UnixConn) (Peer, error) { return reader, nil }, Limits{})
	c := NewClient(path)
	if _, err := c.Status(t.Context(), ""); err != nil {
		t.Errorf("reading: %v", err)
	}
	if _, err := c.Unban(t.Context(), UnbanOrder{All: true}); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("changing: %v, want ErrNotPermitted", err)
	}
}

// The kernel is asked in earnest: this process is at the other end.
func TestPeer(t *testing.T) {
	t.Parallel()
	l, err := Listen(filepath.Join(t.TempDir(), "s"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled := make(chan error, 1)
	go func() {
		c, err := net.Dial("unix", filepath.Join(filepath.Dir(l.Addr().String()), "s"))
		if err == nil {
			defer c.Close()
		}
		dialled <- err
	}()
	c, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := <-dialled; err != nil {
		t.Fatal(err)
	}
	p, err := peerOf(c)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if want := (Peer{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}); err != nil || p != want {
		t.Errorf("got %+v, %v; want %+v", p, err, want)
	}
}

// A flood of readers must not keep root out.
func TestFlood(t *testing.T) {
	t.Parallel()
	peers := make(chan Peer, 1)
	path, _ := start(t, &recorder{}, func(*net.UnixConn) (Peer, error) { return <-peers, nil }, Limits{Connections: 4, Reserved: 2})
	for range 2 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		peers <- reader
	}
	peers <- reader
	if _, err := NewClient(path).Status(t.Context(), ""); !errors.Is(err, ErrBusy) {
		t.Errorf("one reader too many: %v, want ErrBusy", err)
	}
	peers <- root
	c := NewClient(path)
	if _, err := c.Status(t.Context(), ""); err != nil {
		t.Errorf("root: %v", err)
	}
	peers <- root
	if _, err := NewClient(path).Status(t.Context(), ""); err != nil {
		t.Errorf("root again: %v", err)
	}
	peers <- root
	if _, err := NewClient(path).Status(t.Context(), ""); !errors.Is(err, ErrBusy) {
		t.Errorf("full: %v, want ErrBusy", err)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	first, err := Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, ""); !errors.Is(err, ErrInUse) {
		t.Errorf("beside another daemon: %v, want ErrInUse", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("a daemon that dies leaves its socket: %v", err)
	}
	if _, err := NewClient(path).Status(t.Context(), ""); !errors.Is(err, ErrNotRunning) {
		t.Errorf("at a dead socket: %v, want ErrNotRunning", err)
	}
	second, err := Listen(path, "")
	if err != nil {
		t.Errorf("after a dead daemon: %v", err)
	} else {
		defer second.Close()
	}
	if err := Remove(path); err != nil {
		t.Error(err)
	}
	if err := Remove(path); err != nil {
		t.Errorf("a second time: %v", err)
	}
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file, ""); err == nil || !strings.Contains(err.Error(), "something else than a socket") {
		t.Errorf("over a file: %v", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file was touched: %q, %v", text, err)
	}
	if _, err := Listen(filepath.Join(dir, "g"), "no-such-group"); err == nil {
		t.Error("an unknown group was taken")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestParsePrefix(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "192.0.2.7/24": "192.0.2.0/24", "::ffff:192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7/120": "192.0.2.0/24",
		"2001:DB8::1": "2001:db8::1", "2001:db8::1/64": "2001:db8::/64", "192.0.2.7/32": "192.0.2.7",
	} {
		p, err := ParsePrefix(text)
		if err != nil || FormatPrefix(p) != want {
			t.Errorf("%s: got %v, %v; want %s", text, p, err, want)
		}
	}
	for _, text := range []string{"", "x", "192.0.2.300", "fe80::1%em0", "::ffff:192.0.2.7/64", "192.0.2.0/33", "192.0.2.7 ", "192.0.2.7/+24"} {
		if p, err := ParsePrefix(text); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%q: got %v, %v; want ErrBadRequest", text, p, err)
		}
	}
}

// FuzzRequest sends anything at all: no panic (the recorder panics on orders that make no sense), a status of ours, and nothing
// changed by a peer who may only read.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"/v1/status?jail=x", "/v1/bans?address=192.0.2.1", "/v1/never", "/v1/pf", "/v1/health", "/v1/explain?address=::1", "/", "/v1/../v1/ban", "//"} {
		f.Add("GET", path, "")
	}
	f.Add("POST", "/v1/ban", `{"addresses":["192.0.2.1","2001:db8::/32"],"seconds":1e3,"reason":"x"}`)
	f.Add("POST", "/v1/ban", `{"addresses":["::ffff:1.2.3.4/100"],"seconds":1e300}`)
	f.Add("POST", "/v1/ban", `{"addresses":["fe80::1%x"],"forever":true}`)
	f.Add("POST", "/v1/unban", `{"all":true}`)
	f.Add("POST", "/v1/unban", `{"addresses":["0.0.0.0/0"]}`)
	f.Add("POST", "/v1/never/add", `{"addresses":["192.0.2.1"],"comment":"\u0000"}`)
	f.Add("POST", "/v1/never/remove", `{"addresses":[null]}`)
	f.Add("POST", "/v1/pause", `{"flush":true}`)
	f.Add("POST", "/v1/resume", `[`)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || !strings.HasPrefix(target, "/") {
			t.Skip()
		}
		known := map[int]bool{200: true, 301: true, 307: true, 400: true, 403: true, 404: true, 405: true}
		for _, peer := range []*Peer{&root, {UID: 4242}, nil} {
			service := &recorder{}
			w := ask(NewServer(service, quiet(), Limits{}), peer, method, target, body)
			if !known[w.Code] {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			changed := false
			for _, call := range service.calls {
				changed = changed || call != "bans" && !strings.HasPrefix(call, "status ")
			}
			if changed && (peer == nil || peer.UID != 0) {
				t.Errorf("%v changed something: %q", peer, service.calls)
			}
		}
	})
}

func TestBanJSON(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var b strings.Builder
	if err := writeLines(&b, []Ban{{Address: "192.0.2.7", Table: "banned", Jail: "sshd", Proven: true, Since: until, Until: &until, Step: 2, Reason: "r", Packets: 1, Bytes: 40, LastHit: &until}, {Address: "::1"}}); err != nil {
		t.Fatal(err)
	}
	want := `{"address":"192.0.2.7","table":"banned","jail":"sshd","proven":true,"since":"2026-01-02T03:04:05Z","until":"2026-01-02T03:04:05Z","step":2,"reason":"r","packets":1,"bytes":40,"last_hit":"2026-01-02T03:04:05Z"}
{"address":"::1","table":"","jail":"","proven":false,"since":"0001-01-01T00:00:00Z","until":null,"step":0,"reason":"","packets":0,"bytes":0,"last_hit":null}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestEndlessAnswer: a daemon that sends a line without end costs its client a bounded amount of memory.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan int, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n, piece := 0, bytes.Repeat([]byte("x"), 1<<20)
		_, err := w.Write([]byte(`{"address":"`))
		for err == nil && n < 4*maxAnswer {
			_, err = w.Write(piece)
			n += len(piece)
		}
		sent <- n
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	for _, err = range NewClient(path).Bans(t.Context(), BanQuery{}) {
	}
	if n := <-sent; err == nil || n > maxAnswer+8<<20 {
		t.Errorf("%d bytes were taken, %v", n, err)
	}
}
