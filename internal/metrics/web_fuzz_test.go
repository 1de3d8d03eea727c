package metrics

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// FuzzWeb reads web configuration files that nobody meant well with: each is taken or refused, soon; nothing is opened that may not be; and what is
// taken lets nobody in who gives no password.
func FuzzWeb(f *testing.F) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{
		"", "{}", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {a: " + string(hash) + "}\n", "basic_auth_users: {a: " + string(hash) + ", '': " + string(hash) + "}\n",
		"basic_auth_users: {a: $2y$31$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n", "basic_auth_users: hunter2\n", "basic_auth_users:\n  a: *hunter2\n", "tls_server_config: {cert_file: /dev/zero, key_file: /dev/zero}\n",
		"tls_server_config: {cert: x, key: y, client_ca_file: ../../etc/shadow, client_auth_type: RequireAndVerifyClientCert}\n", "a: &a [*a,*a]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n",
		"rate_limit: {interval: -1s, burst: -1}\n", "rate_limit: {interval: 1h, burst: 0}\n", "http_server_config: {http2: true, headers: {X-Frame-Options: deny, Content-Security-Policy: \"a\\nb\"}}\n",
		"tls_server_config: {cert_file: cert.pem, key_file: key.pem, min_version: TLS13, max_version: TLS10, cipher_suites: [x], curve_preferences: [y]}\n",
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "web.yml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := LoadWeb(path, func(path string) error {
			if filepath.Dir(path) != dir {
				return errors.New("outside")
			}
			return nil
		})
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("it does not name the file: %v", err)
			}
			return
		}
		for _, password := range []string{"", "secret"} {
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			if password != "" {
				r.SetBasicAuth("nobody at all", password)
			}
			out := httptest.NewRecorder()
			let := false
			w.protect(w.dress(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { let = true }))).ServeHTTP(out, r)
			if _, known := w.users["nobody at all"]; let && len(w.users) > 0 && !known {
				t.Errorf("let in by %q with %q", text, password)
			}
		}
	})
}
