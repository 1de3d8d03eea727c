package metrics

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// TestWebHTTP2: http2 in http_server_config is obeyed, by the connections after a reload too, whatever the ciphers were before.
func TestWebHTTP2(t *testing.T) {
	t.Parallel()
	const (
		keys    = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
		ciphers = "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n" // HTTP/2 cannot do with these
		off     = "http_server_config:\n  http2: false\n"
	)
	for _, c := range []struct{ name, first, then, speaks, thenSpeaks string }{
		{"as ever", keys, keys + off, "HTTP/2.0", "HTTP/1.1"},
		{"off first", keys + off, keys, "HTTP/1.1", "HTTP/2.0"},
		{"off for want of ciphers", keys + ciphers + off, keys + "http_server_config:\n  http2: true\n", "HTTP/1.1", "HTTP/2.0"},
		{"off because of ciphers", keys, keys + ciphers + off, "HTTP/2.0", "HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			first, roots := webFolder(t, c.first)
			web, err := LoadWeb(first, nil)
			if err != nil {
				t.Fatal(err)
			}
			address := serve(t, web)
			expect := func(want string) {
				t.Helper()
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
				defer transport.CloseIdleConnections()
				answer, err := (&http.Client{Transport: transport}).Get("https://" + address + "/healthz")
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.Proto != want {
					t.Errorf("it speaks %s, want %s", answer.Proto, want)
				}
			}
			expect(c.speaks)
			then, others := webFolder(t, c.then)
			by, err := LoadWeb(then, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := web.Fits(by); err != nil {
				t.Fatal(err)
			}
			web.Replace(by)
			roots = others
			expect(c.thenSpeaks)
		})
	}
}
