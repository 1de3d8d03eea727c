package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestSecretsAreHidden: what an action's options keep secret is in no error, however it was cut, and the error is still the same one.
func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	s := secretsOf(map[string]string{"smtp_password": "correct horse", "Token": `"correct"`, "port": "ssh-and-more", "apikey": "abc", "webhook": "https://x.example/T0/B1"})
	for _, c := range []struct{ text, want string }{
		{"exit status 1: smtp: correct horse refused", "exit status 1: smtp: (secret) refused"},
		{"correct, correct horse", "(secret), (secret)"},
		{"exit status 1: with correct ho …", "exit status 1: with (secret) …"},
		{"exit status 1: with correct ho", "exit status 1: with (secret) ho"},
		{"no http", "no http"},
		{"posting to https://x.example/T0/B1: ssh-and-more abc", "posting to (secret): ssh-and-more abc"},
		{"nothing of it", "nothing of it"},
	} {
		err := s.hide(fmt.Errorf("%s%w", c.text, silentDeadline{}))
		if err.Error() != c.want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q became %q, want %q; %v", c.text, err, c.want, errors.Is(err, context.DeadlineExceeded))
		}
	}
	if err := s.hide(nil); err != nil {
		t.Error(err)
	}
}

// TestHarmlessWordsStay: only what options keep secret is blotted out, and not what happens to hold the same letters.
func TestHarmlessWordsStay(t *testing.T) {
	t.Parallel()
	secret := map[string]bool{
		"smtp_password": true, "cftoken": true, "abuseipdb_apikey": true, "mnwpass": true, "ns_auth": true, "slack-url": true, "webhook": true, "PASSWD": true, "key2": true, "auth_header": true,
		"password_value": true, "hook_address": true,
		"author": false, "authlog": false, "security": false, "during": false, "keyword": false, "passive": false, "sacredness": false, "keyfile": false, "auth_method": false, "token_type": false,
	}
	for name, want := range secret {
		if got := len(secretsOf(map[string]string{name: "some value"})) == 1; got != want {
			t.Errorf("%s: a secret %v, want %v", name, got, want)
		}
	}
	for _, v := range []string{"true", "login", "input", "https://api.example/", "'none'"} {
		if got := secretsOf(map[string]string{"auth": v, "api_url": v}); len(got) != 0 {
			t.Errorf("%s is taken for a secret", v)
		}
	}
	s := secretsOf(map[string]string{"password": "pass", "token": "port-Ab1", "url": "https://u:p@api.example/"})
	for text, want := range map[string]string{
		"the password of pass: bypass it, compass": "the password of (secret): bypass it, compass",
		"login -ppass refused":                     "login -p(secret) refused",
		"curl -u me:pass@host, pass":               "curl -u me:(secret)@host, (secret)",
		"xport-Ab1y":                               "x(secret)y", // too long for an accident
		"at https://u:p@api.example/":              "at (secret)",
		"passpass, \u00e9pass, pass\u00e9":         "passpass, \u00e9pass, pass\u00e9",
	} {
		if got := s.hide(errors.New(text)).Error(); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// TestCutOutputHidesSecret: of a secret that stands where a command's output is cut nothing is shown either.
func TestCutOutputHidesSecret(t *testing.T) {
	t.Parallel()
	s := secretsOf(map[string]string{"password": "correct horse"})
	for _, n := range []int{980, 990, 995} {
		err := s.hide(shell(t.Context(), fmt.Sprintf("printf '%%0%dd %%s' 0 'correct horse battery'; exit 1", n), nil))
		if err == nil || strings.Contains(err.Error(), "corr") {
			t.Errorf("behind %d bytes: %v", n, err)
		}
	}
}

// silentDeadline is context.DeadlineExceeded without words.
type silentDeadline struct{}

func (silentDeadline) Error() string        { return "" }
func (silentDeadline) Is(target error) bool { return target == context.DeadlineExceeded }

// TestCommandIsNoArgument: a command's text is not among the arguments of the shell that runs it, where everybody could read it, and its values are.
func TestCommandIsNoArgument(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("needs /proc")
	}
	out := t.TempDir() + "/out"
	err := shell(t.Context(), `tr '\0' '\n' </proc/$$/cmdline >`+out+`; env >>`+out+`; : PASS""WORD=hunter2; [ "$0" = zero ] && [ "$1" = one ] && exit 3`, []string{"zero", "one"})
	if err == nil || err.Error() != "exit status 3" {
		t.Errorf("the shell ended with %v", err)
	}
	text, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(text), "\none\n") {
		t.Errorf("the values are not among the arguments: %v\n%s", err, text)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("the command can be read:\n%s", text)
	}
}
