package metrics

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the HTTP server. Everything it serves is small and read-only.
const (
	maxConnections  = 32
	maxScrapes      = 4 // at the same time; more are told 503
	maxHeaderBytes  = 8 << 10
	scrapeTimeout   = 10 * time.Second
	readTimeout     = 5 * time.Second
	writeTimeout    = 30 * time.Second // for everything from the request on
	takeTimeout     = 5 * time.Second  // for taking the answer
	maxStreams      = 8                // of one connection that speaks HTTP/2
	idleTimeout     = 30 * time.Second
	shutdownTimeout = 5 * time.Second
)

// Handler serves /metrics, /healthz (200, or 503 if a health item is not as it should be, with the items as JSON) and a page
// at / that leads to both. It answers GET and HEAD only, and whom web lets in; a nil web is everybody.
func (m *Metrics) Handler(version string, web *Web, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            errorLog{log},
		ErrorHandling:       promhttp.ContinueOnError, // one package's bad sample must not hide all others
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
		EnableOpenMetrics:   true,
	}))
	mux.HandleFunc("GET /healthz", m.serveHealth)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page := struct {
			Version, System string
			Health          []HealthItem
		}{version, runtime.GOOS + "/" + runtime.GOARCH, m.health()}
		if err := indexPage().Execute(w, page); err != nil {
			log.Debug("index page not delivered", "error", err)
		}
	})
	return secured(web.protect(web.dress(mux)))
}

// secured adds the headers that keep a browser from doing anything with our pages but showing them.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (m *Metrics) health() []HealthItem {
	if ask := m.attached().Health; ask != nil {
		return ask()
	}
	return nil
}

func (m *Metrics) serveHealth(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Status string       `json:"status"` // "ok" or "attention"
		Items  []HealthItem `json:"items"`
	}{"ok", m.health()}
	if answer.Items == nil {
		answer.Items = []HealthItem{} // an empty list is [], not null
	}
	code := http.StatusOK
	for _, item := range answer.Items {
		if !item.OK {
			answer.Status, code = "attention", http.StatusServiceUnavailable
		}
	}
	body, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		http.Error(w, "health: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that went away is no error of ours
}

// Listen opens the address to serve on, host:port. It accepts a bounded number of connections.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	ln, err := ListenRaw(ctx, address)
	if err != nil {
		return nil, err
	}
	return Bounded(ln), nil
}

// ListenRaw is Listen without the bound, for a listener that another process serves on.
func ListenRaw(ctx context.Context, address string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: listen on %q: %w; set metrics.listen to another host:port, or to \"\" to serve none", address, err)
	}
	t, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("metrics: listen on %q: no TCP listener", address), ln.Close())
	}
	return t, nil
}

// Bounded makes a listener that accepts a bounded number of connections of one that does not.
func Bounded(ln net.Listener) net.Listener { return limitListener(ln, maxConnections) }

// Serve answers requests on ln with h, by TLS if web asks for it, until the context ends; then it lets running requests finish for a short while.
// It closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, web *Web, log *slog.Logger) error {
	server := &http.Server{
		Handler:           attended(h),
		ConnContext:       withConn,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what clients do wrong is no news
	}
	serve := server.Serve
	if web.TLS() {
		// What each connection gets is all in the configuration made for it, so that a reload may change any of it, HTTP/2 included.
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			w := web.now()
			c := w.tls.Clone()
			c.NextProtos = []string{"http/1.1"}
			if w.http2 && server.TLSNextProto["h2"] != nil { // the second is not so with GODEBUG=http2server=0
				c.NextProtos = []string{"h2", "http/1.1"}
			}
			return c, nil
		}}
		serve = func(ln net.Listener) error { return server.ServeTLS(ln, "", "") }
	}
	ended := make(chan error, 1)
	go func() { ended <- serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("metrics: serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // whoever is still reading has had its time
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("metrics: stop serving on %s: %w", ln.Addr(), err)
		}
	}
	return nil
}

// errorLog hands promhttp's complaints to slog. That a client hangs up before it has all is told of once for every family that is left: no news.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) {
	if what, ok := v[0].(string); ok && strings.HasPrefix(what, "error encoding and sending") {
		l.log.Debug("metrics were not taken", "error", fmt.Sprint(v...))
		return
	}
	l.log.Error("metrics could not be collected", "error", fmt.Sprint(v...))
}

func indexPage() *template.Template {
	return template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>pfwarden</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#222}
code{background:#f2f2f2;padding:.1em .3em}.bad{color:#b00020;font-weight:600}.good{color:#1b7a3d}
@media(prefers-color-scheme:dark){body{background:#181a1b;color:#ddd}a{color:#8ab4f8}code{background:#2a2d2f}.bad{color:#ff8a80}.good{color:#81c995}}
</style></head><body>
<h1>pfwarden</h1>
<p>Version {{.Version}} on {{.System}}.</p>
<ul><li><a href="/metrics">/metrics</a>: for Prometheus</li><li><a href="/healthz">/healthz</a>: health as JSON</li></ul>
{{with .Health}}<h2>Health</h2><ul>{{range .}}
<li>{{if .OK}}<span class="good">ok</span>{{else}}<span class="bad">attention</span>{{end}} <b>{{.Name}}</b>{{with .Text}}: {{.}}{{end}}{{with .Remedy}}<br><code>{{.}}</code>{{end}}</li>{{end}}
</ul>{{end}}
</body></html>
`))
}
