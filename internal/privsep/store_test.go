package privsep

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pfwarden/internal/testkit"
)

// TestPrepareStore: the folder and the files of a ledger become the worker's, and what others could meddle with is refused and left as it is.
func TestPrepareStore(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("gives files to others")
	}
	const uid, gid = 12345, 12345
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (store string)
		want    string // of the error, or of the note
		fine    bool
	}{
		{"a folder that is not there", func(_ *testing.T, dir string) string { return dir + "/a/b/pfwarden.db" }, "", true},
		{"a folder of root's", func(t *testing.T, dir string) string {
			testkit.Must(t, os.Mkdir(dir+"/db", 0o755))
			testkit.Must(t, os.WriteFile(dir+"/db/pfwarden.db", nil, 0o644))
			return dir + "/db/pfwarden.db"
		}, "", true},
		{"a folder with other files", func(t *testing.T, dir string) string {
			testkit.Must(t, os.WriteFile(dir+"/other", nil, 0o644))
			return dir + "/pfwarden.db"
		}, "may add files", true},
		{"a folder like /tmp", func(t *testing.T, dir string) string {
			testkit.Must(t, os.Mkdir(dir+"/tmp", 0o755))
			testkit.Must(t, os.Chmod(dir+"/tmp", 0o777|os.ModeSticky))
			return dir + "/tmp/pfwarden.db"
		}, "a folder of its own", false},
		{"a folder that everybody may change", func(t *testing.T, dir string) string {
			testkit.Must(t, os.Mkdir(dir+"/db", 0o755))
			testkit.Must(t, os.Chmod(dir+"/db", 0o777))
			return dir + "/db/pfwarden.db"
		}, "everybody may change it", false},
		{"a folder of somebody else's", func(t *testing.T, dir string) string {
			testkit.Must(t, os.Mkdir(dir+"/db", 0o700))
			testkit.Must(t, os.Chown(dir+"/db", 54321, 54321))
			return dir + "/db/pfwarden.db"
		}, "chown it", false},
		{"a link in the ledger's place", func(t *testing.T, dir string) string {
			testkit.Must(t, os.Symlink("/etc/passwd", dir+"/pfwarden.db-wal"))
			return dir + "/pfwarden.db"
		}, "pfwarden.db-wal", false},
		{"a file with another name in the ledger's place", func(t *testing.T, dir string) string {
			testkit.Must(t, os.WriteFile(dir+"/precious", nil, 0o600))
			testkit.Must(t, os.Link(dir+"/precious", dir+"/pfwarden.db"))
			return dir + "/pfwarden.db"
		}, "another name", false},
		{"a folder of the system's", func(*testing.T, string) string { return "/var/db/pfwarden.db" }, "a folder of its own", false},
		{"a relative path", func(*testing.T, string) string { return "pfwarden.db" }, "absolute", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := c.prepare(t, t.TempDir())
			note, err := PrepareStore(store, uid, gid)
			if (err == nil) != c.fine || err == nil && (note == "") != (c.want == "") {
				t.Fatalf("note %q, error %v", note, err)
			}
			if err != nil {
				note = err.Error()
			}
			if !strings.Contains(note, c.want) {
				t.Errorf("got %q, want %q", note, c.want)
			}
			if !c.fine {
				return
			}
			info, err := os.Stat(filepath.Dir(store))
			testkit.Must(t, err)
			if mode := info.Mode(); c.want == "" && mode.Perm() != 0o700 || mode.Perm()&0o002 != 0 {
				t.Errorf("the folder's mode is %v", mode)
			}
			if info, err := os.Stat(store); err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("the ledger's mode is %v", info.Mode())
			}
		})
	}
}
