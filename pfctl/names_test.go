package pfctl_test

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"errors"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

func splitWords(s string) []string { return strings.Fields(s) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func mustProfile(t *testing.T, name string) pftest.Profile {
	t.Helper()
	p, err := pftest.ProfileByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  pfctl.Config
		want string // in the error; "" is none
	}{
		{"plain", pfctl.Config{Anchor: "pfwarden"}, ""},
		{"nested", pfctl.Config{Anchor: "fw/pfwarden"}, ""},
		{"no anchor", pfctl.Config{}, "anchor"},
		{"too long for pflog", pfctl.Config{Anchor: "fw/a-name-of-16-chr"}, "15"},
		{"underscore", pfctl.Config{Anchor: "_x"}, "leading"},
		{"trailing slash", pfctl.Config{Anchor: "fw/"}, "leading"},
		{"quote", pfctl.Config{Anchor: `a"b`}, "letters"},
		{"table name", pfctl.Config{Anchor: "a", Banned: "x>y"}, "not a table name"},
		{"long table name", pfctl.Config{Anchor: "a", Banned: strings.Repeat("x", 32)}, "not a table name"},
		{"same name", pfctl.Config{Anchor: "a", Banned: "x", Suspects: "x"}, "named twice"},
		{"protocol", pfctl.Config{Anchor: "a", PortTables: []pfctl.PortTable{{Name: "p", Protos: []string{"icmp"}}}}, "no ports"},
		{"rules without the table", pfctl.Config{Anchor: "a", Rules: "block all"}, "do not mention"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.cfg.Validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestAnchorCall: what the main ruleset must look like for our anchor to be reached.
func TestAnchorCall(t *testing.T) {
	for _, c := range []struct {
		name, anchor, main string
		ok                 bool
		text               string
	}{
		{"called", "pfwarden", "anchor pfwarden\npass all", true, "calls our anchor"},
		{"all anchors", "pfwarden", "anchor \"*\"\npass all", true, "calls our anchor"},
		{"below", "fw/pfwarden", "anchor \"fw/*\"\npass all", true, "calls our anchor"},
		{"nested", "fw/pfwarden", "anchor fw {\nanchor pfwarden\n}\npass all", true, "calls our anchor"},
		{"deeper", "a/b/pfwarden", "anchor \"a/b/*\"\npass all", true, "calls our anchor"},
		{"the one above only", "fw/pfwarden", "anchor fw\npass all", false, "does not call"},
		{"another", "pfwarden", "anchor pfwarden2\npass all", false, "does not call"},
		{"none", "pfwarden", "pass all", false, "does not call"},
		{"below a quick pass", "pfwarden", "pass in quick all\nanchor pfwarden", false, "quick pass"},
		{"below a quick pass of one port", "pfwarden", "pass in quick proto tcp from any to any port 22\nanchor pfwarden", true, "calls our anchor"},
		{"for some packets", "pfwarden", "anchor pfwarden in on em0\npass all", true, "some packets only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pf := pftest.New(mustProfile(t, "openbsd"))
			if r, err := pf.Run(t.Context(), pfctl.Command{Args: []string{"-e", "-f", "-"}, Stdin: []byte(c.main + "\n")}); err != nil || r.Exit != 0 {
				t.Fatalf("%v %s", err, r.Stderr)
			}
			d, err := pfctl.New(pfctl.Config{Anchor: c.anchor}, pf, discard(), &leapClock{now: time.Unix(1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Start(t.Context(), entries(pfctl.Banned, "192.0.2.7")); err != nil {
				t.Fatal(err)
			}
			for _, h := range d.Health() {
				if h.Name == "anchor" && (h.OK != c.ok || !strings.Contains(h.Text, c.text) || !h.OK && h.Fix == "") {
					t.Errorf("health: %+v", h)
				}
			}
			_, drop := pf.Packet(pftest.Packet{Src: netip.MustParseAddr("192.0.2.7"), Dst: netip.MustParseAddr("203.0.113.1"), Proto: 17, SPort: 1, DPort: 53, Length: 60})
			v, err := d.View(t.Context())
			if err != nil || v.Filtering != c.ok || (drop == 1) != c.ok {
				t.Errorf("view says %v (%s), pf dropped %d: %v", v.Filtering, v.Verdict, drop, err)
			}
		})
	}
}

// TestDisabled: PF that is off is reported, and not switched on.
func TestDisabled(t *testing.T) {
	pf := pftest.New(mustProfile(t, "freebsd12"))
	d, err := pfctl.New(pfctl.Config{Anchor: "pfwarden"}, pf, discard(), &leapClock{now: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, h := range d.Health() {
		if h.Name == "pf" && (h.OK || h.Fix != "pfctl -e") {
			t.Errorf("health: %+v", h)
		}
	}
	if v, _ := d.View(t.Context()); v.Enabled || v.Filtering {
		t.Errorf("view: %+v", v)
	}
}

// script makes an executable shell script.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pfctl")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExecRunner(t *testing.T) {
	run := func(r *pfctl.ExecRunner, c pfctl.Command) (pfctl.Result, error) { return r.Run(t.Context(), c) }
	t.Run("streams apart, plain environment", func(t *testing.T) {
		r, err := run(&pfctl.ExecRunner{Path: script(t, "cat; echo \"$1 $LC_ALL $TZ $HOME\" >&2; exit 255\n")}, pfctl.Command{Args: []string{"x y"}, Stdin: []byte("in")})
		if err != nil || string(r.Stdout) != "in" || string(r.Stderr) != "x y C UTC \n" || r.Exit != 255 {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("ended when it takes too long", func(t *testing.T) {
		_, err := run(&pfctl.ExecRunner{Path: script(t, "exec sleep 100\n"), Timeout: 20 * time.Millisecond}, pfctl.Command{})
		if !errors.Is(err, pfctl.ErrKilled) {
			t.Error(err)
		}
	})
	t.Run("too much output", func(t *testing.T) {
		if _, err := run(&pfctl.ExecRunner{Path: script(t, "head -c 100000 /dev/zero\n"), MaxOut: 1000}, pfctl.Command{}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("killed by somebody", func(t *testing.T) {
		if _, err := run(&pfctl.ExecRunner{Path: script(t, "kill -9 $$\n")}, pfctl.Command{}); !errors.Is(err, pfctl.ErrKilled) {
			t.Error(err)
		}
	})
	t.Run("not there", func(t *testing.T) {
		if _, err := run(&pfctl.ExecRunner{Path: "/nonexistent/pfctl"}, pfctl.Command{}); !errors.Is(err, pfctl.ErrNoPF) {
			t.Error(err)
		}
	})
}
