package screen

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/detect"
)

func observed(addr string, fields detect.Fields) *detect.Observation {
	return &detect.Observation{Source: netip.MustParseAddr(addr), Jail: "sshd", Fields: fields, Text: "a line"}
}

func TestCommandAnswers(t *testing.T) {
	c, err := NewCommand("/check <ip>", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ran atomic.Int32
	var said bytes.Buffer // read once the command was asked for the last time
	log := slog.New(slog.NewTextHandler(&said, nil))
	s := run(t, Options{Workers: 1, Log: log, Jails: map[string]Jail{"sshd": {Command: c}}, Run: func(_ context.Context, _ *Command, values []string) (int, error) {
		ran.Add(1)
		switch values[0] {
		case "192.0.2.1":
			return 0, nil
		case "192.0.2.2":
			return 1, nil
		}
		return 127, errors.New("exit status 127")
	}})
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		if !s.Ignored("sshd", observed(a, nil)) {
			t.Errorf("%s: counted before the command was asked", a)
		}
	}
	next := results(s)
	got := append(sources(next()), sources(next())...)
	if diff := cmp.Diff([]string{"192.0.2.2", "192.0.2.3"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for a, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false, "192.0.2.3": false} { // now they are known
		if s.Ignored("sshd", observed(a, nil)) != want {
			t.Errorf("%s: ignored is not %v", a, want)
		}
	}
	if ran.Load() != 3 {
		t.Errorf("the command ran %d times, want 3", ran.Load())
	}
	if st := s.Stats(); st.Commands["failed"] != 1 || st.Commands["ignored"] != 2 || st.Commands["cached"] != 3 {
		t.Errorf("statistics: %+v", st)
	}
	if text := said.String(); strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, ` jail=sshd status=127 error="exit status 127"`+"\n") {
		t.Errorf("said of the one that failed: %s", text)
	}
	if s.Ignored("other", observed("192.0.2.9", nil)) {
		t.Error("a jail without lists or command ignored a source")
	}
}

// TestCommandKeepsByKey keeps answers by a key of the jail's own, a bounded number of them, and asks names only where they are wanted.
func TestCommandKeepsByKey(t *testing.T) {
	for _, c := range []struct {
		name, key  string
		most       int
		runs, asks int32
	}{
		{"all values", "", 0, 4, 4},
		{"user", "<F-USER>", 0, 2, 2},
		{"user at host", "<F-USER>@<ip-host>", 0, 3, 4},
		{"one answer", "<ip>", 1, 4, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			command, err := NewCommand("check <F-USER> <ip-host> <ip-rev>", 0, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if c.key != "" {
				command.Keep(c.key, c.most)
			}
			var ran, asked atomic.Int32
			hosts := map[string]string{"192.0.2.1": "a.example", "192.0.2.2": "b.example", "192.0.2.3": "a.example"}
			s := run(t, Options{Workers: 1, Jails: map[string]Jail{"sshd": {Command: command}}, NameOf: func(_ context.Context, a netip.Addr) string {
				asked.Add(1)
				return hosts[a.String()]
			}, Run: func(_ context.Context, c *Command, values []string) (int, error) {
				ran.Add(1)
				_, env := c.line(values)
				for _, e := range env {
					if v, ok := strings.CutPrefix(e, "pfw_ip_host="); ok && !strings.HasSuffix(v, ".example") {
						t.Errorf("host %q", v)
					}
					if v, ok := strings.CutPrefix(e, "pfw_ip_rev="); ok && !strings.HasSuffix(v, ".2.0.192.") {
						t.Errorf("reversed %q", v)
					}
				}
				return 1, nil
			}})
			next := results(s)
			for _, f := range []struct{ addr, user string }{{"192.0.2.1", "root"}, {"192.0.2.2", "root"}, {"192.0.2.3", "root"}, {"192.0.2.1", "admin"}} {
				if s.Ignored("sshd", observed(f.addr, detect.Fields{"user": f.user})) {
					next()
				}
			}
			if ran.Load() != c.runs || asked.Load() != c.asks {
				t.Errorf("%d runs and %d names asked, want %d and %d", ran.Load(), asked.Load(), c.runs, c.asks)
			}
		})
	}
}

func TestCommandIsBounded(t *testing.T) {
	c, err := NewCommand("/check <ip>", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := run(t, Options{Queue: 5, Jails: map[string]Jail{"sshd": {Command: c}}, Run: func(ctx context.Context, _ *Command, _ []string) (int, error) {
		<-ctx.Done()
		return -1, ctx.Err()
	}})
	addr := netip.MustParseAddr("192.0.2.0")
	for range 50 {
		addr = addr.Next()
		s.Ignored("sshd", observed(addr.String(), nil))
	}
	if st := s.Stats(); st.Waiting != 5 || st.Commands["dropped"] != 45 {
		t.Errorf("statistics: %+v", st)
	}
}

// Values with every character that a shell knows reach a program as one word, wherever the tag stands.
func TestShellSeesValuesOnly(t *testing.T) {
	dir := t.TempDir()
	hostile := []string{
		"root", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", `"; touch pwned; "`, "a b  c", "*", "-n", "\\", "$HOME", "x\ny", "<ip>", "${pfw_ip}", "", "&& touch pwned", "é\xff",
	}
	for _, text := range []string{
		`printf '%s' <F-USER> > OUT`, `printf '%s' "<F-USER>" > OUT`, `printf '%s' '<F-USER>' > OUT`,
		`printf %s '<F-USER>''' > OUT`, `x="a\"b"; printf '%s' <F-USER> > OUT`, `x='a\'; printf '%s' "<F-USER>" > OUT`, `x=\'; printf '%s' <F-USER> > OUT`,
	} {
		for _, value := range hostile {
			out := filepath.Join(dir, "out")
			c, err := NewCommand(strings.ReplaceAll("cd "+dir+" && "+text, "OUT", out), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			argv, env := c.line(c.values(observed("192.0.2.1", detect.Fields{"user": value}), ""))
			if status, err := runProgram(t.Context(), argv, env); status != 0 || err != nil {
				t.Fatalf("%s with %q: status %d, %v", text, value, status, err)
			}
			if got, err := os.ReadFile(out); err != nil || string(got) != value {
				t.Errorf("%s: got %q, want %q (%v)", text, got, value, err)
			}
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("a value was run: %v", entries)
	}
}

// A value is handed over as it is: one that looks like a tag stays what it is, and no variable can hold a NUL byte.
func TestCommandVariables(t *testing.T) {
	c, err := NewCommand("/check <ip>/<family> --user=<F-USER> <name> <other> <ip>", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	argv, env := c.line(c.values(observed("2001:db8::1", detect.Fields{"user": "<ip>\x00 $x"}), ""))
	script := `/check "${pfw_ip}"/"${pfw_family}" --user="${pfw_F_USER}" "${pfw_name}" <other> "${pfw_ip}"`
	if diff := cmp.Diff([]string{"/bin/sh", "-c", script}, argv); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pfw_ip=2001:db8::1", "pfw_family=inet6", "pfw_F_USER=<ip> $x", "pfw_name=sshd"}, env[2:]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommandRefusesNoText(t *testing.T) {
	if _, err := NewCommand(" ", 0, 0); err == nil {
		t.Error("an empty command was taken")
	}
}

func TestRunProgram(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 1": 1, "echo why >&2; exit 3": 3} {
		status, err := runProgram(t.Context(), []string{"/bin/sh", "-c", script}, nil)
		if status != want || (err != nil) != (want > 1) || want == 3 && !strings.Contains(err.Error(), "why") {
			t.Errorf("%s: status %d, %v", script, status, err)
		}
	}
	if _, err := runProgram(t.Context(), []string{"/nonexistent"}, nil); err == nil {
		t.Error("a missing program ran")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := runProgram(ctx, []string{"/bin/sh", "-c", "sleep 60 & sleep 60"}, nil) // the child of the child, too
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func FuzzQuoteTags(f *testing.F) {
	f.Add(`echo <ip> "<ip>" '<ip>' \" <F-USER>`)
	f.Add(`a"b\`)
	f.Fuzz(func(t *testing.T, text string) {
		if got := quoteTags(text); tag.MatchString(got) && !strings.Contains(text, "<<") && !strings.Contains(text, `\<`) {
			t.Errorf("%q still holds a tag: %q", text, got)
		}
	})
}
