package metrics

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serving starts a server of the metrics, by TLS if web asks for it, whose health page has some bytes.
func serving(t *testing.T, web *Web, bytes int) (address string) {
	t.Helper()
	raw, err := ListenRaw(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := Bounded(sparing{raw})
	m := New(Options{})
	m.Attach(Sources{Health: func() []HealthItem { return []HealthItem{{Name: "x", OK: true, Text: strings.Repeat("x", bytes)}} }})
	return serveOn(t, ln, m, web)
}

// sparing makes connections for which the kernel takes little that was not read at the other end.
type sparing struct{ *net.TCPListener }

func (l sparing) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, c.SetWriteBuffer(4 << 10)
}

// TestCrowd: whoever asks is answered soon, whatever a crowd of others does with ten times as many connections as there are places.
func TestCrowd(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for time limits")
	}
	said := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	for _, crowd := range []struct {
		name    string
		number  int
		secure  bool
		do      func(net.Conn)
		within  time.Duration
		dribble bool // one byte now and then
	}{
		{"says nothing", 320, false, func(net.Conn) {}, 40 * time.Second, false},
		{"begins a request", 320, false, said("GET /"), 40 * time.Second, false},
		{"writes headers slowly", 320, false, said("GET /metrics HTTP/1.1\r\nHost: x\r\nX: "), 40 * time.Second, true},
		{"was answered and stays", 320, false, said("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"), 40 * time.Second, false},
		{"promises a body", 320, false, said("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"), 40 * time.Second, false},
		{"sends giant headers", 320, false, said("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10)), 40 * time.Second, false},
		{"takes no answer", 2*maxConnections + 6, false, func(c net.Conn) {
			_ = c.(*net.TCPConn).SetReadBuffer(1)
			_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		}, 55 * time.Second, false},
		{"begins no handshake", 320, true, func(net.Conn) {}, 40 * time.Second, false},
		{"stops within a handshake", 320, true, said("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 40 * time.Second, false},
	} {
		t.Run(crowd.name, func(t *testing.T) {
			t.Parallel()
			var web *Web
			scheme, client := "http", &http.Client{Timeout: crowd.within, Transport: &http.Transport{DisableKeepAlives: true}}
			if crowd.secure {
				path, roots := webFolder(t, "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n")
				var err error
				if web, err = LoadWeb(path, nil); err != nil {
					t.Fatal(err)
				}
				scheme, client.Transport = "https", &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
			}
			bytes := 1
			if crowd.number < 320 {
				bytes = 256 << 10 // more than the kernel takes for a client that reads nothing: some KiB at both ends
			}
			address := serving(t, web, bytes)
			held := make([]net.Conn, 0, crowd.number)
			for range crowd.number {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				held = append(held, c)
				go crowd.do(c)
			}
			if crowd.dribble {
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					for tick := time.NewTicker(50 * time.Millisecond); ; {
						select {
						case <-stop:
							tick.Stop()
							return
						case <-tick.C:
							for _, c := range held {
								_, _ = io.WriteString(c, "x")
							}
						}
					}
				}()
			}
			began := time.Now()
			answer, err := client.Get(fmt.Sprintf("%s://%s/metrics", scheme, address))
			if err != nil {
				t.Fatalf("beside %d clients: %v after %v", crowd.number, err, time.Since(began))
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "pfwarden_") {
				t.Errorf("%s, %v", answer.Status, err)
			}
			t.Logf("answered after %v", time.Since(began).Round(time.Millisecond))
		})
	}
}
