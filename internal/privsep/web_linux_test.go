package privsep_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// TestWebConfig: the worker in its chroot serves the metrics by TLS to those who know the password; a reload takes a new password over, and
// refuses a file with a fault.
func TestWebConfig(t *testing.T) {
	write := func(dir, password string) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		cert, err1 := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		secret, err2 := x509.MarshalECPrivateKey(key)
		hash, err3 := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), "key.pem": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}),
			"web.yml": []byte("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prometheus: " + string(hash) + "\n"),
		} {
			if err := os.WriteFile(dir+"/"+name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := newGateway(t, func(dir, config string) string {
		write(dir, "one")
		return strings.Replace(config, "[metrics]\n", "[metrics]\nweb_config=\""+dir+"/web.yml\"\n", 1)
	})
	ask := func(password string) int {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+h.listen+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("prometheus", password)
		answer, err := client.Do(r)
		if err != nil {
			t.Log(err)
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if one, two := ask("one"), ask("two"); one != 200 || two != 401 {
		t.Errorf("with the password %d, with another %d", one, two)
	}
	worker := h.worker()
	write(h.dir, "two")
	if err := h.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.await("another worker", func() bool { n := h.worker(); return n != 0 && n != worker })
	h.answers()
	if one, two := ask("one"), ask("two"); one != 401 || two != 200 {
		t.Errorf("after a reload: with the old password %d, with the new one %d", one, two)
	}
	if err := os.WriteFile(h.dir+"/web.yml", []byte("basic_auth_users:\n  a: plain\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(h.bin, "check", "-f", h.dir+"/c.toml").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "web.yml") || strings.Contains(string(out), "plain") {
		t.Errorf("check says %q, %v", out, err)
	}
	if err := h.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.await("the fault is told", func() bool { s, _ := h.output("status"); return strings.Contains(s, "refused (1 so far): ") })
	if ask("two") != 200 {
		t.Error("a faulty file was taken over")
	}
}
