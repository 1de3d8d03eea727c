package metrics

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
)

// Bounds of what a web configuration file may bring.
const (
	maxWebFile   = 1 << 20
	maxBcrypt    = 14 // cost of a password's hash: above, one guess costs seconds
	maxGuesses   = 2  // passwords that wait to be compared
	knownAnswers = 100
)

// Web is the TLS and the basic authentication of Prometheus' web configuration file
// (https://prometheus.io/docs/prometheus/latest/configuration/https/), which all of Prometheus' own exporters know. Everything that the file
// names is read once, so that a process may serve by it that cannot open files any more. A nil *Web is plain HTTP for everybody.
type Web struct {
	tls     *tls.Config // nil: plain HTTP
	http2   bool
	users   map[string]config_util.Secret
	decoy   config_util.Secret // compared for users that do not exist, so that the time a refusal takes does not tell
	headers map[string]string
	limiter *rate.Limiter // nil: none

	compare sync.Mutex // one password at a time: comparing is made to cost
	waiting chan struct{}
	mu      sync.Mutex
	answers map[[sha256.Size]byte]bool

	next atomic.Pointer[Web] // what a reload has put in its place; nil = nothing
}

// Fits says why another one, read anew, cannot take its place: TLS can neither begin nor end on a listener. All else is obeyed by the next
// connection, HTTP/2 too.
func (w *Web) Fits(by *Web) error {
	if (w == nil) != (by == nil) || w.TLS() != by.TLS() {
		return errors.New("metrics.web_config: TLS begins or ends at a restart of pfwarden only")
	}
	return nil
}

// Replace has requests from now on served by another one that fits.
func (w *Web) Replace(by *Web) {
	if w != nil && by != nil {
		w.next.Store(by)
	}
}

// now is what requests are served by.
func (w *Web) now() *Web {
	if w == nil {
		return nil
	}
	if by := w.next.Load(); by != nil {
		return by
	}
	return w
}

// LoadWeb reads a web configuration file, and the certificates and keys that it names. "" gives nil. Whatever the file holds that Prometheus'
// exporters do not know is a fault. may says why a file is not to be opened; nil opens all.
func LoadWeb(path string, may func(path string) error) (*Web, error) {
	if path == "" {
		return nil, nil
	}
	if may == nil {
		may = func(string) error { return nil }
	}
	c, err := readWeb(path, may)
	if err != nil {
		return nil, fmt.Errorf("metrics.web_config: %s: %w", path, err)
	}
	w := &Web{
		http2: c.HTTPConfig.HTTP2, users: c.Users, headers: c.HTTPConfig.Header,
		waiting: make(chan struct{}, maxGuesses), answers: make(map[[sha256.Size]byte]bool),
	}
	if w.decoy, err = newDecoy(c.Users); err != nil {
		return nil, err
	}
	if c.RateLimiterConfig.Interval != 0 {
		w.limiter = rate.NewLimiter(rate.Every(c.RateLimiterConfig.Interval), c.RateLimiterConfig.Burst)
	}
	if c.TLSConfig.IsEnabled() {
		err := inline(&c.TLSConfig, may)
		if err == nil {
			w.tls, err = web.ConfigToTLSConfig(&c.TLSConfig)
		}
		if err != nil {
			return nil, fmt.Errorf("metrics.web_config: %s: tls_server_config: %w", path, err)
		}
		if w.http2 && !speaksHTTP2(w.tls) {
			return nil, fmt.Errorf("metrics.web_config: %s: tls_server_config: cipher_suites: HTTP/2 needs TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"+
				" among them: add the one for your certificate's key, or set http2: false in http_server_config", path)
		}
	}
	return w, nil
}

// speaksHTTP2 tells whether the cipher suites hold one that every client of HTTP/2 has (RFC 9113, section 9.2.2); TLS 1.3 is not concerned. Prometheus'
// exporters do not start without one.
func speaksHTTP2(c *tls.Config) bool {
	return c.CipherSuites == nil || c.MinVersion >= tls.VersionTLS13 ||
		slices.Contains(c.CipherSuites, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) || slices.Contains(c.CipherSuites, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)
}

func readWeb(path string, may func(string) error) (*web.Config, error) {
	text, err := readBounded(path, may)
	if err != nil {
		return nil, err
	}
	c := &web.Config{TLSConfig: web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, HTTPConfig: web.HTTPConfig{HTTP2: true}}
	if err := yaml.UnmarshalStrict(text, c); err != nil {
		return nil, withoutValues(err)
	}
	for name, hash := range c.Users {
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil { // which would quote of it
			return nil, fmt.Errorf("basic_auth_users: %q: it is no bcrypt hash of a password; make one by htpasswd -nB", name)
		}
		if cost > maxBcrypt {
			return nil, fmt.Errorf("basic_auth_users: %q: the password's hash has cost %d, %d at most: each guess of a stranger's would take seconds",
				name, cost, maxBcrypt)
		}
	}
	c.TLSConfig.SetDirectory(filepath.Dir(path))
	for _, named := range []string{c.TLSConfig.TLSCertPath, c.TLSConfig.TLSKeyPath, c.TLSConfig.ClientCAs} {
		if named == "" {
			continue
		}
		if _, err := readBounded(named, may); err != nil {
			return nil, fmt.Errorf("tls_server_config: %w", err)
		}
	}
	if err := web.Validate(path); err != nil { // all that the exporters check themselves
		return nil, withoutValues(err)
	}
	return c, nil
}

// withoutValues makes an error of the YAML parser fit for a log: it quotes values, and one of them may be a password in the wrong place.
func withoutValues(err error) error {
	return errors.New(regexp.MustCompile("`[^`]*`|'[^']*'").ReplaceAllString(err.Error(), "(a value)"))
}

// newDecoy makes the hash of a password that nobody knows, which costs as much to compare as the dearest of the users'.
func newDecoy(users map[string]config_util.Secret) (config_util.Secret, error) {
	cost := 0
	for _, hash := range users {
		c, err := bcrypt.Cost([]byte(hash))
		if err != nil {
			return "", err
		}
		cost = max(cost, c)
	}
	if cost == 0 {
		return "", nil
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(rand.Text()), cost)
	return config_util.Secret(hash), err
}

func readBounded(path string, may func(string) error) ([]byte, error) {
	if err := may(path); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // a pipe would not be opened before it has another end, a device may never end
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxWebFile+1))
	if err == nil && len(text) > maxWebFile {
		err = fmt.Errorf("longer than %d bytes", maxWebFile)
	}
	return text, err
}

// inline reads the files that a configuration names into it.
func inline(c *web.TLSConfig, may func(string) error) error {
	for _, f := range []struct {
		path *string
		put  func(string)
	}{
		{&c.TLSCertPath, func(s string) { c.TLSCert = s }},
		{&c.TLSKeyPath, func(s string) { c.TLSKey = config_util.Secret(s) }},
		{&c.ClientCAs, func(s string) { c.ClientCAsText = s }},
	} {
		if *f.path == "" {
			continue
		}
		text, err := readBounded(*f.path, may)
		if err != nil {
			return err
		}
		f.put(string(text))
		*f.path = ""
	}
	return nil
}

// TLS tells whether it asks for TLS.
func (w *Web) TLS() bool { return w != nil && w.tls != nil }

// protect lets through who may ask.
func (w *Web) protect(next http.Handler) http.Handler {
	if w == nil {
		return next
	}
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w := w.now()
		if w.limiter != nil && !w.limiter.Allow() {
			http.Error(out, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
			return
		}
		if len(w.users) > 0 {
			name, password, given := r.BasicAuth()
			ok := false
			if given {
				var busy bool
				if ok, busy = w.known(name, password); busy {
					http.Error(out, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
					return
				}
			}
			if !ok {
				out.Header().Set("WWW-Authenticate", `Basic realm="pfwarden", charset="UTF-8"`)
				http.Error(out, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(out, r)
	})
}

// known compares a password with the hash of a user's. Answers are remembered, by a digest, for scrapes come again and again; more than a few that wait
// for one are busy.
func (w *Web) known(name, password string) (ok, busy bool) {
	hash, exists := w.users[name]
	if !exists {
		hash = w.decoy
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", name, string(hash), password))
	w.mu.Lock()
	ok, remembered := w.answers[key]
	w.mu.Unlock()
	if remembered {
		return ok, false
	}
	select {
	case w.waiting <- struct{}{}:
		defer func() { <-w.waiting }()
	default:
		return false, true
	}
	w.compare.Lock()
	defer w.compare.Unlock()
	ok = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil && exists
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.answers) >= knownAnswers {
		w.forget()
	}
	w.answers[key] = ok
	return ok, false
}

// forget makes room for another answer. Refusals go first: however many guess, who knows a password is let in without a comparison.
func (w *Web) forget() {
	for _, right := range []bool{false, true} {
		for k, ok := range w.answers {
			if ok == right {
				delete(w.answers, k)
				return
			}
		}
	}
}

// dress adds the file's headers.
func (w *Web) dress(next http.Handler) http.Handler {
	if w == nil {
		return next
	}
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w := w.now()
		for k, v := range w.headers {
			out.Header().Set(k, v)
		}
		next.ServeHTTP(out, r)
	})
}
