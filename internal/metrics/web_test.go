package metrics

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// webFolder holds a certificate for 127.0.0.1, its key, and a web configuration file of the text given.
func webFolder(t *testing.T, text string) (path string, roots *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	for name, b := range map[string][]byte{"cert.pem": certPEM, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), "web.yml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "web.yml"), roots
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// serve serves the metrics until the test ends, and returns their address.
func serve(t *testing.T, web *Web) (address string) {
	t.Helper()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, New(Options{}), web)
}

func serveOn(t *testing.T, ln net.Listener, m *Metrics, web *Web) (address string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, m.Handler("1", web, quiet()), web, quiet()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// TestWebTLS serves the metrics by real TLS with basic authentication, without the files, which a worker in its chroot cannot open any more.
func TestWebTLS(t *testing.T) {
	t.Parallel()
	path, roots := webFolder(t, "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  min_version: TLS12\nhttp_server_config:\n  headers:\n    Strict-Transport-Security: max-age=600\n"+
		"basic_auth_users:\n  prometheus: "+hashOf(t, "secret")+"\n")
	web, err := LoadWeb(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	address := serve(t, web)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		user, password string
		want           int
	}{
		{"prometheus", "secret", 200}, {"prometheus", "secret", 200}, {"prometheus", "Secret", 401}, {"nobody", "secret", 401}, {"", "", 401},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.want || strings.Contains(string(body), "pfwarden_") != (c.want == 200) {
			t.Errorf("%s %s: %s, %v, %.60q", c.user, c.password, answer.Status, err, body)
		}
		if c.want == 401 && !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Basic") {
			t.Errorf("refused without saying how to ask: %v", answer.Header)
		}
		if c.want == 200 && (answer.Header.Get("Strict-Transport-Security") != "max-age=600" || answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.TLS == nil) {
			t.Errorf("headers %v, TLS %v", answer.Header, answer.TLS)
		}
	}
	plain, err := http.Get("http://" + address + "/metrics")
	if err == nil {
		plain.Body.Close()
		if plain.StatusCode == 200 {
			t.Error("it answers without TLS, too")
		}
	}
}

// TestWebTLSIsBounded: clients that begin TLS and say no more hold no place longer than the time limit, and no more places than there are.
func TestWebTLSIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a time limit")
	}
	path, roots := webFolder(t, "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n")
	web, err := LoadWeb(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, web)
	var silent []net.Conn
	for range 2 * maxConnections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	began := time.Now()
	client := &http.Client{Timeout: 4 * readTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, err := client.Get("https://" + address + "/healthz")
	if err != nil {
		t.Fatalf("beside %d silent clients: %v", len(silent), err)
	}
	answer.Body.Close()
	t.Logf("answered after %v beside %d silent clients", time.Since(began), len(silent))
}

// TestWebFaults: what is wrong with a file is said with the file's name.
func TestWebFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"no YAML", "tls_server_config: [", "yaml"},
		{"an unknown key", "tls_server_config:\n  certificate: x\n", "certificate"},
		{"no key", "tls_server_config:\n  cert_file: cert.pem\n", "key"},
		{"a file that is not there", "tls_server_config:\n  cert_file: cert.pem\n  key_file: other.pem\n", "other.pem"},
		{"the certificate for its key", "tls_server_config:\n  cert_file: cert.pem\n  key_file: cert.pem\n", "key"},
		{"a password as it is", "basic_auth_users:\n  a: secret\n", "bcrypt"},
		{"a password in the wrong place", "basic_auth_users: secret\n", "line 1"},
		{"a password as an alias", "basic_auth_users:\n  a: *secret\n", "yaml"},
		{"a password as a list", "basic_auth_users:\n  a: [secret]\n", "yaml"},
		{"a hash that costs too much", "basic_auth_users:\n  a: $2y$20$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n", "cost 20"},
		{"a header that is none", "http_server_config:\n  headers:\n    Server: x\n", "Server"},
		{"HTTP/2 without a cipher of its own", "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n", "HTTP/2"},
		{"HTTP/2 that is neither on nor off", "http_server_config:\n  http2: perhaps\n", "line 2"},
		{"a policy that is none", "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  client_auth_type: Perhaps\n", "Perhaps"},
	} {
		path, _ := webFolder(t, c.text)
		_, err := LoadWeb(path, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: a password is shown: %v", c.name, err)
		}
	}
	if _, err := LoadWeb("/nonexistent/web.yml", nil); err == nil {
		t.Error("a file that is not there was taken")
	}
	if w, err := LoadWeb("", nil); w != nil || err != nil {
		t.Errorf("none: %v, %v", w, err)
	}
	if path, _ := webFolder(t, strings.Repeat("#", maxWebFile+1)); path != "" {
		if _, err := LoadWeb(path, nil); err == nil {
			t.Error("a file without end was taken")
		}
	}
}

// TestWebGuesses: whoever guesses passwords in a crowd is told that there is no room, and whoever is known is let in all the same.
func TestWebGuesses(t *testing.T) {
	t.Parallel()
	path, _ := webFolder(t, "basic_auth_users:\n  a: "+hashOf(t, "secret")+"\nrate_limit:\n  interval: 1h\n  burst: 300\n")
	web, err := LoadWeb(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := web.protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func(password string) int {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.SetBasicAuth("a", password)
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		return out.Code
	}
	if code := ask("secret"); code != 200 {
		t.Fatalf("status %d", code)
	}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if code := ask(fmt.Sprint("guess", i)); code != 401 && code != 503 {
				t.Errorf("a guess: status %d", code)
			}
			if i%50 == 0 {
				if code := ask("secret"); code != 200 {
					t.Errorf("the right one: status %d", code)
				}
			}
		})
	}
	all.Wait()
	if len(web.answers) > knownAnswers {
		t.Errorf("%d answers are kept", len(web.answers))
	}
	for i := range 5 * knownAnswers { // however many guess, one after the other
		web.known("a", fmt.Sprint("another", i))
	}
	for range maxGuesses {
		web.waiting <- struct{}{}
	}
	if ok, busy := web.known("a", "secret"); !ok || busy || len(web.answers) > knownAnswers {
		t.Errorf("the right one, while others are compared: let in %v, busy %v; answers kept: %d", ok, busy, len(web.answers))
	}
	for range maxGuesses {
		<-web.waiting
	}
	refused := false
	for range 200 {
		refused = refused || ask("secret") == http.StatusTooManyRequests
	}
	if !refused {
		t.Error("the limit of requests was never reached")
	}
}
