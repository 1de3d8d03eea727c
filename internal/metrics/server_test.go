package metrics

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestEndpoints(t *testing.T) {
	healthy := func() []HealthItem { return []HealthItem{{Name: "pf_enabled", OK: true}} }
	sick := func() []HealthItem {
		return []HealthItem{{Name: "pf_enabled", OK: true}, {Name: "anchor_called", Text: "<script>not called", Remedy: `anchor "pfwarden"`}}
	}
	for _, c := range []struct {
		name, method, path string
		health             func() []HealthItem
		code               int
		kind, body         string
	}{
		{"metrics", "GET", "/metrics", healthy, 200, "text/plain", "pfwarden_build_info{"},
		{"healthy", "GET", "/healthz", healthy, 200, "application/json", `"status": "ok"`},
		{"sick", "GET", "/healthz", sick, 503, "application/json", `"remedy": "anchor \"pfwarden\""`},
		{"no items known", "GET", "/healthz", nil, 200, "application/json", `"items": []`},
		{"index", "GET", "/", healthy, 200, "text/html", `href="/metrics"`},
		{"index escapes", "GET", "/", sick, 200, "text/html", `&lt;script&gt;not called`},
		{"head", "HEAD", "/healthz", healthy, 200, "application/json", ""},
		{"nothing else", "GET", "/debug/pprof/", healthy, 404, "", ""},
		{"read-only metrics", "POST", "/metrics", healthy, 405, "", ""},
		{"read-only health", "DELETE", "/healthz", healthy, 405, "", ""},
		{"read-only index", "PUT", "/", healthy, 405, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(Options{Version: "1.2.3"})
			m.Attach(Sources{Health: c.health})
			rec := httptest.NewRecorder()
			m.Handler("1.2.3", nil, quiet()).ServeHTTP(rec, httptest.NewRequest(c.method, c.path, nil))
			if rec.Code != c.code || !strings.HasPrefix(rec.Header().Get("Content-Type"), c.kind) || !strings.Contains(rec.Body.String(), c.body) {
				t.Errorf("%d %s, want %d %s with %q:\n%s", rec.Code, rec.Header().Get("Content-Type"), c.code, c.kind, c.body, rec.Body)
			}
			if rec.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error("security headers are missing")
			}
		})
	}
}

func TestHealthIsJSON(t *testing.T) {
	items := []HealthItem{{Name: "a", OK: true}, {Name: "b", Text: "quote \" and \n line"}}
	m := New(Options{})
	m.Attach(Sources{Health: func() []HealthItem { return items }})
	rec := httptest.NewRecorder()
	m.serveHealth(rec, nil)
	var got struct {
		Status string
		Items  []HealthItem
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v:\n%s", err, rec.Body)
	}
	if got.Status != "attention" || len(got.Items) != 2 || got.Items[1] != items[1] {
		t.Errorf("got %+v", got)
	}
}

func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ln, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, New(Options{}).Handler("", nil, quiet()), nil, quiet()) }()

	resp, err := http.Get("http://" + ln.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.Contains(string(body), "pfwarden_build_info") {
		t.Errorf("%v: %q", err, body)
	}

	stop()
	if err := <-ended; err != nil {
		t.Errorf("an orderly end is no error: %v", err)
	}
	if _, err := http.Get("http://" + ln.Addr().String() + "/metrics"); err == nil {
		t.Error("still serving after the end")
	}
}

func TestListenSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, err = Listen(t.Context(), taken.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("error %v does not name the setting", err)
	}
}

// countingListener notes a call of Accept that comes while as many connections are open as may be.
type countingListener struct {
	net.Listener
	open    atomic.Int32 // connections given out and not yet closed by the test
	allowed int32
	early   atomic.Bool
}

func (l *countingListener) Accept() (net.Conn, error) {
	if l.open.Load() >= l.allowed {
		l.early.Store(true)
	}
	conn, err := l.Listener.Accept()
	if err == nil {
		l.open.Add(1)
	}
	return conn, err
}

// TestConnectionsAreLimited holds as many connections as are allowed, with requests under way; the next one must wait until one of them is closed, and
// those behind it are not even accepted.
func TestConnectionsAreLimited(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const allowed = 2
	inner := &countingListener{Listener: tcp, allowed: allowed + 1}
	ln := limitListener(inner, allowed)
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				ended <- err
				return
			}
			conn.(*limitedConn).about(1)
			accepted <- conn
		}
	}()
	for range allowed + 3 {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
	}
	first, second := <-accepted, <-accepted
	inner.open.Add(-1)
	_ = first.Close()
	_ = first.Close() // closing twice frees one place only
	third := <-accepted
	inner.open.Add(-1)
	_ = second.Close()
	fourth := <-accepted
	select {
	case <-accepted:
		t.Error("one more got a place than there are")
	default:
	}
	if inner.early.Load() {
		t.Error("more than one connection was accepted that had to wait")
	}

	// All places are taken again, so the acceptor waits for one: closing the listener must wake it all the same.
	_ = ln.Close()
	if err := <-ended; err == nil {
		t.Error("accept went on after close")
	}
	_ = third.Close()
	_ = fourth.Close()
}

// TestHangUp: a client that takes no more of a scrape leaves no line in the log.
func TestHangUp(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	h := New(Options{}).Handler("1", nil, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(&deaf{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	if log.Len() > 0 {
		t.Errorf("it says\n%s", log.String())
	}
}

// deaf is a connection that was closed at the other end.
type deaf struct{ *httptest.ResponseRecorder }

func (deaf) Write([]byte) (int, error) { return 0, syscall.EPIPE }
