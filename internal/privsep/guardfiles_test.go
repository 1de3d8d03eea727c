package privsep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, name := range []string{"authlog", "authlog.0", "a-access.log", "a-access.log.1.gz", "secret"} {
		write(name)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "pflog"), 0o700), os.Symlink("secret", filepath.Join(dir, "authlog.link"))); err != nil {
		t.Fatal(err)
	}
	c, _, _ := pair(t, dir)
	for _, x := range []struct {
		path string
		want error // nil: it is opened
	}{
		{"authlog", nil}, {"authlog.0", nil}, {"a-access.log", nil}, {"a-access.log.1.gz", nil},
		{"authlog.1", fs.ErrNotExist}, {"secret", fs.ErrPermission}, {"../../etc/shadow", fs.ErrPermission}, {"pflog", fs.ErrPermission},
		{"authlog/../secret", fs.ErrPermission},
	} {
		f, err := c.Open(dir + "/" + x.path)
		if x.want == nil {
			if err != nil {
				t.Errorf("%s: %v", x.path, err)
				continue
			}
			st, err1 := f.Stat()
			looked, err2 := c.Stat(dir + "/" + x.path)
			if err1 != nil || err2 != nil || !os.SameFile(st, st) || looked.Size() != st.Size() || !looked.ModTime().Equal(st.ModTime()) {
				t.Errorf("%s: %v %v %v %v", x.path, st, looked, err1, err2)
			}
			f.Close()
			continue
		}
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.path, err, x.want)
			if f != nil {
				f.Close()
			}
		}
	}
	if got, err := c.Glob(filepath.Join(dir, "*access.log")); err != nil || !slices.Equal(got, []string{filepath.Join(dir, "a-access.log")}) {
		t.Errorf("glob: %v, %v", got, err)
	}
	if _, err := c.Glob(filepath.Join(dir, "*")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a glob that nobody configured: %v", err)
	}
	list, err := c.ReadDir(dir)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	if err != nil || slices.Contains(names, "secret") || !slices.Contains(names, "authlog.0") {
		t.Errorf("folder: %v, %v", names, err)
	}
	if _, err := c.ReadDir("/etc"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("another folder: %v", err)
	}
}

// TestUnsafePaths: what others than root decide is not followed.
func TestUnsafePaths(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("makes files of other users")
	}
	const other = 12345
	for _, c := range []struct {
		name  string
		build func(dir string) error
		safe  bool
	}{
		{"plain", func(dir string) error { return os.WriteFile(dir+"/authlog", nil, 0o600) }, true},
		{"a user's file in his folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/authlog", nil, 0o600), os.Chown(dir, other, other), os.Chown(dir+"/authlog", other, other))
		}, true},
		{"a link of root's in root's folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/target", nil, 0o600), os.Symlink("target", dir+"/authlog"))
		}, true},
		{"a link in a user's folder", func(dir string) error {
			return errors.Join(os.Symlink("/etc/shadow", dir+"/authlog"), os.Lchown(dir+"/authlog", other, other), os.Chown(dir, other, other))
		}, false},
		{"a link of root's in a user's folder", func(dir string) error {
			return errors.Join(os.Symlink("/etc/shadow", dir+"/authlog"), os.Chown(dir, other, other))
		}, false},
		{"a second name of a file of root's in a user's folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/secret", nil, 0o600), os.Link(dir+"/secret", dir+"/authlog"), os.Chown(dir, other, other))
		}, false},
		{"a user's file of two names in his folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/old", nil, 0o600), os.Chown(dir+"/old", other, other), os.Link(dir+"/old", dir+"/authlog"), os.Chown(dir, other, other))
		}, true},
		{"the same where a group may change the folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/old", nil, 0o600), os.Chown(dir+"/old", other, other), os.Link(dir+"/old", dir+"/authlog"), os.Chown(dir, other, other),
				os.Chmod(dir, 0o770))
		}, false},
		{"a second name of a file of root's in root's folder that a group may change", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/secret", nil, 0o600), os.Link(dir+"/secret", dir+"/authlog"), os.Chown(dir, 0, other), os.Chmod(dir, 0o775))
		}, false},
		{"a second name of a file of root's in a sticky folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/secret", nil, 0o600), os.Link(dir+"/secret", dir+"/authlog"), os.Chmod(dir, 0o777|os.ModeSticky))
		}, false},
		{"a second name of a file of root's in root's folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/old", nil, 0o600), os.Link(dir+"/old", dir+"/authlog"))
		}, true},
		{"root's file in a sticky folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/authlog", nil, 0o600), os.Chmod(dir, 0o777|os.ModeSticky))
		}, true},
		{"a FIFO", func(dir string) error { return unix.Mkfifo(dir+"/authlog", 0o600) }, false},
		{"a device", func(dir string) error { return os.Symlink("/dev/zero", dir+"/authlog") }, false},
		{"proc", func(dir string) error { return os.Symlink("/proc/self/fd/0", dir+"/authlog") }, false},
		{"a folder for everybody", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/authlog", nil, 0o600), os.Chmod(dir, 0o777))
		}, false},
		{"a user's file in a sticky folder", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/authlog", nil, 0o600), os.Chown(dir+"/authlog", other, other), os.Chmod(dir, 0o777|os.ModeSticky))
		}, false},
		{"a folder", func(dir string) error { return os.Mkdir(dir+"/authlog", 0o700) }, false},
		{"a loop", func(dir string) error { return os.Symlink("authlog", dir+"/authlog") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.build(dir); err != nil {
				t.Fatal(err)
			}
			f, err := roots(nil).open(dir + "/authlog")
			if f != nil {
				f.Close()
			}
			if (err == nil) != c.safe {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestMayOpenRotated: rotation's names of a log are opened, and no other file of its folder.
func TestMayOpenRotated(t *testing.T) {
	t.Parallel()
	s := &Settings{Files: []string{"/var/log/authlog", "/var/log/www/*.log", "/var/log/app.log", "/var/log/class/[ab.c]", "/var/log/.hidden"}}
	for path, want := range map[string]bool{
		"/var/log/authlog": true, "/var/log/authlog.0": true, "/var/log/authlog.0.gz": true, "/var/log/authlog-20260131": true,
		"/var/log/auth": false, "/var/log/authlog/x": false, "/var/log/../log/authlog": false, "authlog": false, "": false, "/var/log/authlog/": false,
		"/var/log/www/a.log": true, "/var/log/www/a.log.1": true, "/var/log/www/a-2026.log": true, "/var/log/www/a.log-2026.gz": true,
		"/var/log/www/private.key": false, "/var/log/www/a": false, "/var/log/www/sub/a.log": false,
		"/var/log/app.log.1.gz": true, "/var/log/app-2026.log.gz": true, "/var/log/app.1.log": true, "/var/log/app.conf": false, "/var/log/application": false,
		"/var/log/class/a": true, "/var/log/class/a.1": true, "/var/log/class/d": false, "/var/log/boot": false, "/var/log/.hidden.1": true, "/var/log/.profile": false,
	} {
		if got := s.MayOpen(path); got != want {
			t.Errorf("MayOpen(%q) = %v, want %v", path, got, want)
		}
	}
}

// TestGlob compares with filepath.Glob, and with the bound.
func TestGlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a/x.log", "a/y.log", "a/y.log.1", "b/x.log", "b/deep/z.log", "c.log", "[.log"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700), os.WriteFile(filepath.Join(dir, name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("a", dir+"/link"), unix.Mkfifo(dir+"/fifo", 0o600), os.Symlink("nowhere", dir+"/a/dangling.log")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * chunk {
		if err := os.WriteFile(fmt.Sprintf("%s/b/n%04d.txt", dir, i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"/*.log", "/*/*.log", "/a/x.log", "/a/none", "/[ab]/x.log", "/*/*/*.log", "/b/n*.txt", "/\\[.log", "/fifo/*", "/*/", "/none/*", "/a/[", "/?/?.log"} {
		got, err := glob(dir+pattern, 10000)
		want, werr := filepath.Glob(dir + pattern)
		if pattern == "/*/" {
			want = nil // folders are no logs
		}
		if !slices.Equal(got, want) || (err != nil) != (werr != nil) {
			t.Errorf("%s: %d names %v, want %d %v", pattern, len(got), err, len(want), werr)
		}
	}
	if got, err := glob(dir+"/b/n*.txt", 100); err != nil || len(got) != 100 {
		t.Errorf("%d names, %v; want the bound, 100", len(got), err)
	}
}

// TestReloadedFiles: a log is refused until the privileged process has read a configuration that names it.
func TestReloadedFiles(t *testing.T) {
	t.Parallel()
	g, c, _ := guarded(t)
	path := filepath.Join(t.TempDir(), "fresh")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("before the reload: %v", err)
	}
	s := *g.settings.Load()
	s.Files = append(slices.Clone(s.Files), path)
	if err := g.Change(s); err != nil {
		t.Fatal(err)
	}
	f, err := c.Open(path)
	if err != nil {
		t.Fatalf("after the reload: %v", err)
	}
	f.Close()
	s.Files = s.Files[:len(s.Files)-1]
	if err := g.Change(s); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("once it is not named any more: %v", err)
	}
}
