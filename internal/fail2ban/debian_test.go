package fail2ban

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// debian gives the folder into which Debian's package fail2ban is unpacked, which holds its configuration, its filters and their annotated
// sample logs. PFWARDEN_FAIL2BAN names one that is there already; else the package is fetched, and where that cannot be done the test
// is skipped. Nothing of it is part of this project.
func debian(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("PFWARDEN_FAIL2BAN"); dir != "" {
		return dir
	}
	if testing.Short() {
		t.Skip("fetches a package")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, "pfwarden", "fail2ban")
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
	run("apt-get", "download", "fail2ban")
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) == 0 {
		t.Skip("no package came")
	}
	unpacked := t.TempDir()
	run("dpkg", "-x", packages[len(packages)-1], unpacked)
	if err := os.Rename(unpacked, root); err != nil { // another file system, or another test was first
		return unpacked
	}
	return root
}
