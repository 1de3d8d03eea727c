// Package etc_test checks the files that are installed beside the program.
package etc_test

import (
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pfwarden/internal/config"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestScriptsParse(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"openbsd", "freebsd", "netbsd"} {
		path := filepath.Join(goos, "pfwarden.rc")
		if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", path, err, out)
		}
		text := read(t, path)
		for _, want := range []string{" run", " check", "pfwarden"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o111 == 0 {
			t.Errorf("%s cannot be executed: %v", path, err)
		}
	}
}

// The FreeBSD and NetBSD scripts refuse to start with a faulty configuration, and show the faults. rc.subr is replaced by the
// little of it that they use.
func TestConfigtestShowsFaults(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"freebsd", "netbsd"} {
		dir := t.TempDir()
		program := filepath.Join(dir, "pfwarden")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n[ \"$1\" = check ] || exit 9\necho 'x.toml:1: a: unknown key'\nexit $(cat "+dir+"/exit)\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		subr := filepath.Join(dir, "rc.subr")
		if err := os.WriteFile(subr, []byte("load_rc_config() { :; }\nrun_rc_command() { eval $configtest_cmd; }\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		text := read(t, filepath.Join(goos, "pfwarden.rc"))
		text = strings.NewReplacer("/etc/rc.subr", subr, "/usr/local/sbin/pfwarden", program, "/usr/pkg/sbin/pfwarden", program, "$_rc_subr_loaded ", "").Replace(text)
		for exit, want := range map[string]string{"0": "", "2": "x.toml:1: a: unknown key\n"} {
			if err := os.WriteFile(filepath.Join(dir, "exit"), []byte(exit), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("sh", "-c", text, "pfwarden", "configtest").CombinedOutput()
			if (err == nil) != (exit == "0") || string(out) != want {
				t.Errorf("%s with check ending in %s: %v, %q", goos, exit, err, out)
			}
		}
	}
}

// What a script signals is the process that it has started, and none of those that this one starts.
func TestScriptsSignalOneProcess(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`(?m)^pexp="(.*)"$`).FindStringSubmatch(read(t, "openbsd/pfwarden.rc"))
	if found == nil {
		t.Fatal("openbsd: no pexp")
	}
	daemon := "/usr/local/sbin/pfwarden"
	pattern := regexp.MustCompile("^(" + strings.ReplaceAll(found[1], "${daemon}", daemon) + ")$") // pgrep -xf
	for args, want := range map[string]bool{
		"run": true, "run --fail2ban /etc/fail2ban": true, "run -f /etc/x.toml": true,
		"worker --config /etc/x.toml": false, "hooks --config /etc/x.toml": false, "plan": false, "bindcapture pflog0 160": false, "status": false,
	} {
		if got := pattern.MatchString(daemon + " " + args); got != want {
			t.Errorf("openbsd: %q is signalled: %v", args, got)
		}
	}

	dir := t.TempDir()
	program, subr := filepath.Join(dir, "pfwarden"), filepath.Join(dir, "rc.subr")
	if err := errors.Join(
		os.WriteFile(program, []byte("#!/bin/sh\necho $$ $* >"+dir+"/ran\n"), 0o755),
		os.WriteFile(subr, []byte("rc_flags='-f x'\nload_rc_config() { :; }\nrun_rc_command() { eval $start_cmd; wait; }\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/etc/rc.subr", subr, "/usr/pkg/sbin/pfwarden", program, "$_rc_subr_loaded ", "", "/var/run", dir).Replace(read(t, "netbsd/pfwarden.rc"))
	if out, err := exec.Command("sh", "-c", text, "pfwarden", "start").CombinedOutput(); err != nil {
		t.Fatalf("netbsd: %v: %s", err, out)
	}
	pid, ran := strings.TrimSpace(read(t, dir+"/pfwarden.pid")), strings.TrimSpace(read(t, dir+"/ran"))
	if pid == "" || ran != pid+" run -f x" {
		t.Errorf("netbsd: process %s is noted, %q runs", pid, ran)
	}
	if text := read(t, "freebsd/pfwarden.rc"); !strings.Contains(text, "-p ${pidfile}") || strings.Contains(text, "-P ") {
		t.Error("freebsd: daemon(8) does not note the process that it starts")
	}
}

// launchd starts the privileged process alone.
func TestLaunchd(t *testing.T) {
	t.Parallel()
	var plist struct {
		Keys    []string `xml:"dict>key"`
		Strings []string `xml:"dict>array>string"`
	}
	if err := xml.Unmarshal([]byte(read(t, "macos/org.pfwarden.plist")), &plist); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(plist.Strings, []string{"/usr/local/sbin/pfwarden", "run"}) || !slices.Contains(plist.Keys, "KeepAlive") {
		t.Errorf("%+v", plist)
	}
}

func TestPFLines(t *testing.T) {
	t.Parallel()
	text := read(t, "pf.conf")
	anchor := `anchor "` + config.Default("openbsd").PF.Anchor + `"`
	if !strings.Contains(text, "\n"+anchor+"\n") || !strings.Contains(text, "\nblock drop log\n") {
		t.Errorf("pf.conf does not have the lines %s and block drop log", anchor)
	}
}
