// Package debian fetches Debian's package fail2ban when a test runs: its configuration, its filters with their annotated sample logs, and its
// programs, to compare with. Nothing of it is part of this project.
package debian

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// release is one of Debian's packages of fail2ban.
type release struct {
	name string
	url  string // "": whatever this machine's apt gives
	sum  string // SHA-256 of the package
}

// releases lists those that tests run with, this system's own first.
func releases() []release {
	return []release{
		{name: "of this system"},
		{"1.1.0", "http://deb.debian.org/debian/pool/main/f/fail2ban/fail2ban_1.1.0-8_all.deb", "ac35080546f1a1581163b2ebcb9796b08eb4abca3d3643082b76dce505cbd6d8"},
		{"1.1.1", "http://deb.debian.org/debian/pool/main/f/fail2ban/fail2ban_1.1.1-1_all.deb", "c544561da237a443c34982bc6be0bef39490406e08643d4ceb968f6177ac58c2"},
	}
}

// given are the folders, separated as in PATH, that PFWARDEN_FAIL2BAN names: packages that are unpacked there already.
func given() []string { return filepath.SplitList(os.Getenv("PFWARDEN_FAIL2BAN")) }

// Fail2ban gives the folder into which a package is unpacked: the first that PFWARDEN_FAIL2BAN names, else this system's own, which is fetched.
// The test is skipped where it cannot be had, and in a short run if it were to be fetched.
func Fail2ban(t testing.TB) string {
	t.Helper()
	if dirs := given(); len(dirs) > 0 {
		return dirs[0]
	}
	return releases()[0].unpacked(t)
}

// EachFail2ban runs a test with every folder that PFWARDEN_FAIL2BAN names, else with every release that can be had.
func EachFail2ban(t *testing.T, test func(t *testing.T, root string)) {
	if dirs := given(); len(dirs) > 0 {
		for _, dir := range dirs {
			t.Run(filepath.Base(dir), func(t *testing.T) { test(t, dir) })
		}
		return
	}
	for _, r := range releases() {
		t.Run(r.name, func(t *testing.T) { test(t, r.unpacked(t)) })
	}
}

// Configuration makes a copy of an unpacked package's configuration folder without Debian's own choice of jails.
func Configuration(t testing.TB, root string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "fail2ban")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "etc", "fail2ban"))); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "jail.d")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Python runs Debian's interpreter, which finds the modules of an unpacked package. The test is skipped where there is none.
func Python(t testing.TB, root string, args ...string) *exec.Cmd {
	t.Helper()
	modules, err := filepath.Glob(filepath.Join(root, "usr/lib/python3*/dist-packages"))
	python, look := exec.LookPath("/usr/bin/python3")
	if err != nil || look != nil || len(modules) == 0 {
		t.Skip("needs Debian's Python to run the package's programs")
	}
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+modules[0], "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

// unpacked gives the folder that a release lies unpacked in. It is kept in the user's cache for the next test.
func (r release) unpacked(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("fetches a package")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, "pfwarden", "fail2ban")
	if r.url != "" {
		dir += "-" + r.name
	}
	root := filepath.Join(dir, "root")
	if _, err := os.Stat(filepath.Join(root, "etc", "fail2ban", "jail.conf")); err == nil {
		return root
	}
	// Tests of other packages may do the same at this moment: each in a folder of its own, and the first one's is taken.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skip(err)
	}
	work, err := os.MkdirTemp(dir, "new")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(work) })
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = work
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("Debian's package fail2ban is not to be had: %v: %v: %s", args, err, out)
		}
	}
	if r.url == "" {
		run("apt-get", "download", "fail2ban")
	} else {
		r.fetch(t, filepath.Join(work, "fail2ban.deb"))
	}
	run("sh", "-c", "exec dpkg -x *.deb root")
	if unpacked := filepath.Join(work, "root"); os.Rename(unpacked, root) != nil {
		return unpacked
	}
	return root
}

// fetch gets the package, and skips the test where Debian has it no more.
func (r release) fetch(t testing.TB, to string) {
	t.Helper()
	client := http.Client{Timeout: time.Minute}
	answer, err := client.Get(r.url)
	if err != nil {
		t.Skip(err)
	}
	defer answer.Body.Close()
	const largest = 64 << 20
	data, err := io.ReadAll(io.LimitReader(answer.Body, largest))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Skipf("%s: %s, %v", r.url, answer.Status, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != r.sum {
		t.Fatalf("%s is not what it was: SHA-256 %x", r.url, sum)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Skip(err)
	}
}
