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
		{"exit status 1: with correct ho", "exit status 1: with (secret)"},
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
