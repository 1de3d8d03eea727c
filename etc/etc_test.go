// Package etc_test checks the files that are installed beside the program.
package etc_test

import (
	"os"
	"os/exec"
	"path/filepath"
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

func TestPFLines(t *testing.T) {
	t.Parallel()
	text := read(t, "pf.conf")
	anchor := `anchor "` + config.Default("openbsd").PF.Anchor + `"`
	if !strings.Contains(text, "\n"+anchor+"\n") || !strings.Contains(text, "\nblock drop log\n") {
		t.Errorf("pf.conf does not have the lines %s and block drop log", anchor)
	}
}
