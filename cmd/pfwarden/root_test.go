package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/privsep"
)

// walk visits every verb.
func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	for _, c := range cmd.Commands() {
		if c.Name() != "help" && !c.Hidden {
			visit(c)
			walk(c, visit)
		}
	}
}

func TestEveryVerbExplainsItself(t *testing.T) {
	t.Parallel()
	walk(newRootCommand(stdio{}), func(c *cobra.Command) {
		if c.DisableFlagParsing {
			return // it speaks like another program
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: no short description or no example", c.CommandPath())
		}
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		out, complaints, exit := invoke(args...)
		if exit != exitDone || complaints != "" || !strings.Contains(out, "Examples:") {
			t.Errorf("%v: exit %d, %q, %q", args, exit, out, complaints)
		}
		out, complaints, exit = invoke(append(args[:len(args)-1:len(args)-1], "--no-such-flag")...)
		if exit != exitUsage || out != "" || !strings.Contains(complaints, "--no-such-flag") {
			t.Errorf("%v with an unknown flag: exit %d, %q, %q", args, exit, out, complaints)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		exit int
		want string // in what is said on standard error
	}{
		{"", exitUsage, "Usage:"},
		{"statu", exitUsage, "did you mean status?"},
		{"nonsense", exitUsage, `no verb "nonsense"`},
		{"status -o xml", exitUsage, "-o xml: no such format"},
		{"version surplus", exitUsage, "surplus"},
		{"bans a b", exitUsage, "at most 1"},
		{"completion tcsh", exitUsage, "tcsh"},
		{"--help", exitDone, ""},
		{"version", exitDone, ""},
	} {
		_, complaints, exit := invoke(strings.Fields(tt.args)...)
		if exit != tt.exit || !strings.Contains(complaints, tt.want) || (tt.want == "") != (complaints == "") {
			t.Errorf("%q: exit %d, %q; want %d and %q", tt.args, exit, complaints, tt.exit, tt.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{usagef("x"), 2},
		{fmt.Errorf("a: %w", usagef("x")), 2},
		{&silentError{usagef("x")}, 2},
		{fmt.Errorf("a: %w", control.ErrBadRequest), 2},
		{fmt.Errorf("a: %w", config.Faults{{File: "f", Line: 1, Text: "x"}}), 2},
		{fmt.Errorf("a: %w", control.ErrNotPermitted), 3},
		{&fs.PathError{Op: "open", Path: "/dev/pf", Err: os.ErrPermission}, 3},
		{fmt.Errorf("a: %w", control.ErrNotRunning), 4},
		{control.ErrNotFound, 1},
		{silently(fmt.Errorf("a: %w", &privsep.ExitError{Code: exitUsage})), 2},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, _, exit := invoke("version", "-o", "json")
	var b build
	if err := json.Unmarshal([]byte(out), &b); err != nil || exit != exitDone || b.Version != version || b.Go == "" || b.Capture == "" || b.SQLite == "" {
		t.Errorf("exit %d, %v: %s", exit, err, out)
	}
	if out, _, _ := invoke("version"); !strings.HasPrefix(out, "pfwarden "+version+"\n") || !strings.Contains(out, b.Capture) || !strings.Contains(out, b.SQLite) {
		t.Errorf("got %q", out)
	}
}

func TestCompletions(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "ksh"} {
		out, complaints, exit := invoke("completion", shell)
		if exit != exitDone || complaints != "" || !strings.Contains(out, "pfwarden") {
			t.Errorf("%s: exit %d, %q, %d bytes", shell, exit, complaints, len(out))
		}
	}
	if out, _, _ := invoke("completion", "ksh"); !strings.Contains(out, " unban") {
		t.Errorf("ksh: %s", out)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := write("bad.toml", "observ = true\n[jail.x]\nfilter = \"sshdd\"\nlogs = [\"/x\"]\n[jail.y]\nfailregex = [\"(<HOST>\"]\nlogs = [\"/y\"]\n")
	out, complaints, exit := invoke("check", "-f", bad)
	if exit != exitUsage || complaints != "" || strings.Count(out, "\n") != 3 {
		t.Errorf("faults: exit %d, %q, %q", exit, out, complaints)
	}
	for i, want := range []string{bad + ":1: observ: unknown key; did you mean observe?", bad + `:3: jail.x.filter: no filter "sshdd"`, bad + ":6: jail.y.failregex: "} {
		if line := strings.Split(out, "\n")[i]; !strings.HasPrefix(line, want) {
			t.Errorf("fault %d: %s; want %s …", i, line, want)
		}
	}
	out, _, exit = invoke("check", "-f", bad, "-o", "json")
	var c checked
	if err := json.Unmarshal([]byte(out), &c); err != nil || exit != exitUsage || len(c.Faults) != 3 || c.Survey != nil {
		t.Errorf("faults as JSON: exit %d, %v, %s", exit, err, out)
	}
	good := write("good.toml", fmt.Sprintf("[jail.x]\nfilter = \"sshd\"\nlogs = [%q, %q]\n", bad, filepath.Join(dir, "*.none")))
	out, complaints, exit = invoke("check", "-f", good, "--set", "jail.x.maxretry=2")
	if exit != exitDone || complaints != "" || !strings.Contains(out, "2 in 10m") || !strings.Contains(out, "this glob matches nothing (yet)") || !strings.Contains(out, "no faults") {
		t.Errorf("good: exit %d, %s, %q", exit, out, complaints)
	}
	out, _, exit = invoke("check", "-f", good, "-o", "json")
	if err := json.Unmarshal([]byte(out), &c); err != nil || exit != exitDone || len(c.Faults) != 0 || c.Survey == nil || len(c.Survey.Warnings) == 0 {
		t.Errorf("good as JSON: exit %d, %v, %s", exit, err, out)
	}
	if _, complaints, exit := invoke("check", "-f", filepath.Join(dir, "none.toml")); exit != exitUsage || !strings.Contains(complaints, "no such file") {
		t.Errorf("no file: exit %d, %q", exit, complaints)
	}
	if _, complaints, exit := invoke("check", "-f", good, "--set", "nonsense"); exit != exitUsage || complaints != "" {
		t.Errorf("bad --set: exit %d, %q", exit, complaints)
	}
}

// Every jail that a system has by itself must have a filter that there is, with proof known.
func TestDefaultJailsHaveFilters(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"openbsd", "freebsd", "netbsd", "dragonfly", "darwin", "linux"} {
		c := config.Default(goos)
		for _, j := range c.Jails {
			if err := knownFilter(j.Filter); err != nil {
				t.Errorf("%s: jail %s: %v", goos, j.Name, err)
			}
			if p := filterProof(j.Filter); p != "tcp" && p != "none" {
				t.Errorf("%s: jail %s: proof %q", goos, j.Name, p)
			}
		}
	}
}
