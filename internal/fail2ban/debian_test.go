package fail2ban

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

// release is one of Debian's packages of fail2ban, which holds its configuration, its filters and their annotated sample logs. Nothing of
// it is part of this project: tests fetch it when they run.
type release struct {
	name string
	url  string // "": whatever this machine's apt gives
	sum  string // SHA-256 of the package
}

var releases = []release{
	{name: "of this system"},
	{"1.1.0", "http://deb.debian.org/debian/pool/main/f/fail2ban/fail2ban_1.1.0-8_all.deb", "ac35080546f1a1581163b2ebcb9796b08eb4abca3d3643082b76dce505cbd6d8"},
	{"1.1.1", "http://deb.debian.org/debian/pool/main/f/fail2ban/fail2ban_1.1.1-1_all.deb", "c544561da237a443c34982bc6be0bef39490406e08643d4ceb968f6177ac58c2"},
}

// eachRelease runs a test with every release that can be had, or with those that PFWARDEN_FAIL2BAN names: folders, separated as in PATH,
// into which a package is unpacked.
func eachRelease(t *testing.T, test func(t *testing.T, root string)) {
	if dirs := filepath.SplitList(os.Getenv("PFWARDEN_FAIL2BAN")); len(dirs) > 0 {
		for _, dir := range dirs {
			t.Run(filepath.Base(dir), func(t *testing.T) { test(t, dir) })
		}
		return
	}
	for _, r := range releases {
		t.Run(r.name, func(t *testing.T) { test(t, r.unpacked(t)) })
	}
}

// unpacked gives the folder that a release lies unpacked in, and skips the test where it cannot be had.
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
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skip(err)
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("%v: %v: %s", args, err, out)
		}
	}
	if r.url == "" {
		run("apt-get", "download", "fail2ban")
	} else {
		r.fetch(t, filepath.Join(dir, "fail2ban.deb"))
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) == 0 {
		t.Skip("no package came")
	}
	unpacked, err := os.MkdirTemp(dir, "unpacked")
	if err != nil {
		t.Skip(err)
	}
	run("dpkg", "-x", packages[len(packages)-1], unpacked)
	if err := os.Rename(unpacked, root); err != nil { // another test was first
		t.Cleanup(func() { os.RemoveAll(unpacked) })
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
