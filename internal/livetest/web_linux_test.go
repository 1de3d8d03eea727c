package livetest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"pfwarden/internal/testkit"
)

// hashOf is a password as a web configuration file holds it.
func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	testkit.Must(t, err)
	return string(hash)
}

// secureWeb has the metrics served by TLS to a user prometheus, and gives whom a client has to trust, and his password's hash.
func (g *gateway) secureWeb(password string) (roots *x509.CertPool, hash string) {
	g.t.Helper()
	host, _, err := net.SplitHostPort(g.metrics)
	testkit.Must(g.t, err)
	roots = makeCertificate(g.t, filepath.Join(g.dir, "web"), host)
	hash = hashOf(g.t, password)
	g.writeWeb("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prometheus: " + hash + "\n")
	g.more = append(g.more, "--set", "metrics.web_config="+g.dir+"/web/web.yml")
	return roots, hash
}

func (g *gateway) writeWeb(text string) {
	g.t.Helper()
	testkit.Must(g.t, os.WriteFile(filepath.Join(g.dir, "web", "web.yml"), []byte(text), 0o600))
}

// askWeb asks for a page by TLS.
func (g *gateway) askWeb(roots *x509.CertPool, page, password string) (status int, body string) {
	g.t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "https://"+g.metrics+page, nil)
	testkit.Must(g.t, err)
	if password != "" {
		r.SetBasicAuth("prometheus", password)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	testkit.Must(g.t, err)
	return answer.StatusCode, string(text)
}

// reload sends SIGHUP and waits until the log says something.
func (g *gateway) reload(says string) {
	g.t.Helper()
	before := strings.Count(g.said(), says)
	testkit.Must(g.t, g.daemon.Process.Signal(syscall.SIGHUP))
	testkit.Within(g.t, 20*time.Second, "the log says "+says, func() bool { return strings.Count(g.said(), says) > before })
}

// target is what Prometheus says of one job.
type target struct {
	Labels    map[string]string
	Health    string
	LastError string
}

// TestPrometheus has Debian's Prometheus scrape the running daemon by TLS and with a password: it gets everything, those who get one of these wrong get
// nothing and are told why, and a reload takes another password over.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	prometheus := testkit.Tool(t, "prometheus")
	programs := buildUnlessShort(t)
	inBothShapes(t, func(t *testing.T, option string) {
		g := programs.gateway(t, "openbsd", callUs)
		g.more = []string{option}
		_, hash := g.secureWeb("first-password")
		_, jail := g.authLog()
		g.run(jail)
		g.cli("ban", "203.0.113.7")

		dir, listen := t.TempDir(), testkit.FreeAddress(t)
		job := func(name, more string) string {
			return fmt.Sprintf("- job_name: %s\n  static_configs: [{targets: [%q]}]\n%s", name, g.metrics, more)
		}
		auth := func(user, file string) string {
			return "  basic_auth: {username: " + user + ", password_file: " + dir + "/" + file + "}\n"
		}
		https, trust := "  scheme: https\n", "  tls_config: {ca_file: "+g.dir+"/web/cert.pem}\n"
		testkit.Must(t, os.WriteFile(dir+"/good", []byte("first-password"), 0o600))
		testkit.Must(t, os.WriteFile(dir+"/wrong", []byte("guessed-password"), 0o600))
		testkit.Must(t, os.WriteFile(dir+"/prometheus.yml", []byte("global: {scrape_interval: 3s, scrape_timeout: 3s}\nscrape_configs:\n"+
			job("good", https+trust+auth("prometheus", "good"))+job("wrong-password", https+trust+auth("prometheus", "wrong"))+
			job("wrong-user", https+trust+auth("root", "good"))+job("no-password", https+trust)+
			job("plain", auth("prometheus", "good"))+job("untrusted", https+auth("prometheus", "good"))), 0o600))
		start(t, "prometheus", nil, prometheus, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+listen)

		targets := func() map[string]target {
			var answer struct {
				Data struct{ ActiveTargets []target }
			}
			ask(t, "http://"+listen+"/api/v1/targets?state=active", &answer)
			by := make(map[string]target)
			for _, x := range answer.Data.ActiveTargets {
				by[x.Labels["job"]] = x
			}
			return by
		}
		want := map[string]struct{ health, says string }{
			"good": {"up", ""}, "wrong-password": {"down", "401"}, "wrong-user": {"down", "401"}, "no-password": {"down", "401"}, "plain": {"down", "400"}, "untrusted": {"down", "certificate"},
		}
		testkit.Within(t, 30*time.Second, "all jobs were tried", func() bool {
			n := 0
			for _, x := range targets() {
				if x.Health != "unknown" {
					n++
				}
			}
			return n == len(want)
		})
		for name, x := range targets() {
			if w := want[name]; x.Health != w.health || !strings.Contains(x.LastError, w.says) {
				t.Errorf("%s is %s: %q; want %s, %q", name, x.Health, x.LastError, w.health, w.says)
			}
		}
		var query struct {
			Data struct{ Result []struct{ Value []any } }
		}
		testkit.Within(t, 20*time.Second, "Prometheus knows of the ban", func() bool {
			ask(t, "http://"+listen+"/api/v1/query?query=sum(pfwarden_active_bans)", &query)
			return len(query.Data.Result) == 1 && query.Data.Result[0].Value[1] == "1"
		})

		// A file with a fault is not taken over, and the fault is told without what is secret in it.
		g.writeWeb("basic_auth_users:\n  prometheus: second-password\n")
		g.reload("it is no bcrypt hash")
		testkit.Within(t, 10*time.Second, "it is still scraped", func() bool { return targets()["good"].Health == "up" })
		// Another password takes the first one's place.
		g.writeWeb("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prometheus: " + hashOf(t, "second-password") + "\n")
		g.reload("configuration taken over")
		testkit.Within(t, 20*time.Second, "the first password is refused", func() bool { return strings.Contains(targets()["good"].LastError, "401") })
		testkit.Must(t, os.WriteFile(dir+"/good", []byte("second-password"), 0o600))
		testkit.Within(t, 20*time.Second, "the second one is let in", func() bool { return targets()["good"].Health == "up" })

		g.stop()
		g.writeWeb("tls_server_config:\n  cert_file: cert.pem\n  key_file: none.pem\nbasic_auth_users:\n  prometheus: " + hash + "\n")
		said := g.refusesToStart()
		if !strings.Contains(said, "web.yml") || !strings.Contains(said, "none.pem") {
			t.Errorf("without a key it says:\n%s", said)
		}
		for _, secret := range []string{"first-password", "second-password", "guessed-password", hash, hash[7:]} {
			if strings.Contains(g.said()+said, secret) {
				t.Errorf("the log shows %s", secret)
			}
		}
	})
}

func ask(t *testing.T, url string, answer any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return // it has yet to start
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil && resp.StatusCode == http.StatusOK {
		t.Errorf("%s: %v", url, err)
	}
}
