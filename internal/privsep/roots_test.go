package privsep

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRootFolders(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("/srv/www/site%d/logs/access.log", i))
	}
	var deep []string
	for i := range 20 {
		deep = append(deep, fmt.Sprintf("/home/user%d/app/var/log/app.log", i))
	}
	for name, x := range map[string]struct{ files, want []string }{
		"few, but far down":           {append(deep, "/var/log/authlog"), nil},
		"one folder":                  {[]string{"/var/log/authlog", "/var/log/pflog", "/var/log/maillog"}, []string{"/var/log"}},
		"one within another":          {[]string{"/var/log/nginx/access.log", "/var/log/authlog"}, []string{"/var/log"}},
		"not by its name's beginning": {[]string{"/var/log/a", "/var/logs/b"}, []string{"/var/log", "/var/logs"}},
		"a glob of files":             {[]string{"/var/log/*access.log"}, []string{"/var/log"}},
		"a glob of folders":           {[]string{"/var/www/*/logs/error.log"}, []string{"/var/www"}},
		"a glob within a name":        {[]string{"/var/www/site[0-9]/log"}, []string{"/var/www"}},
		"at the top":                  {[]string{"/x.log"}, []string{"/"}},
		"very many":                   {many, []string{"/srv/www"}},
		"none":                        {nil, nil},
	} {
		got := rootFolders(x.files)
		if len(got) > maxRoots || passed(got) > maxPassed {
			t.Errorf("%s: %d folders, %d on the way", name, len(got), passed(got))
		}
		for _, f := range x.files {
			if !slices.ContainsFunc(got, func(d string) bool { return within(filepath.Dir(f), d) }) {
				t.Errorf("%s: nothing leads to %s", name, f)
			}
		}
		if x.want == nil {
			continue
		}
		if diff := cmp.Diff(x.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// rootOnlyDir gives a folder that walk trusts: t.TempDir is below /tmp, where only what is root's is followed.
func rootOnlyDir(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the folders must be root's")
	}
	return t.TempDir()
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestRoots: what the folders of the start lead to is found by its name, also what comes later and what a link there means; nothing else is.
func TestRoots(t *testing.T) {
	t.Parallel()
	dir := rootOnlyDir(t)
	put(t, dir+"/log/authlog", "a")
	put(t, dir+"/www/one/logs/error.log", "e")
	put(t, dir+"/elsewhere/app.log", "p")
	put(t, dir+"/secret/key", "k")
	if err := errors.Join(os.Mkdir(dir+"/gone", 0o755), os.Symlink(dir+"/elsewhere/app.log", dir+"/log/app.log"), os.Symlink(dir+"/secret/key", dir+"/log/later.log")); err != nil {
		t.Fatal(err)
	}
	s := Settings{Pfctl: "/sbin/pfctl", Anchors: []Anchor{{Path: "a"}}, Files: []string{
		dir + "/log/authlog", dir + "/log/app.log", dir + "/www/*/logs/*.log", dir + "/www/two/logs/x.log", dir + "/gone/not/yet/there.log",
	}}
	g, err := NewGuard(GuardOptions{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	folders, err := g.Narrow()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.roots.close)
	for i, f := range folders {
		folders[i] = strings.TrimPrefix(f, dir)
	}
	if diff := cmp.Diff([]string{"/gone", "/log", "/www", "/elsewhere"}, folders); diff != "" {
		t.Errorf("folders: -want +got\n%s", diff)
	}
	put(t, dir+"/www/two/logs/x.log", "x")
	put(t, dir+"/gone/not/yet/there.log", "t")
	r := g.roots
	for path, want := range map[string]string{
		"/log/authlog": "a", "/log/app.log": "p", "/www/one/logs/error.log": "e", "/www/two/logs/x.log": "x", "/gone/not/yet/there.log": "t",
	} {
		f, err := r.open(dir + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		b, _ := io.ReadAll(f)
		f.Close()
		if string(b) != want {
			t.Errorf("%s holds %q, want %q", path, b, want)
		}
	}
	for _, path := range []string{"/secret/key", "/log/later.log", "/logs", "/log/../secret/key"} {
		if f, err := r.open(dir + path); err == nil {
			t.Errorf("%s was opened", path)
			f.Close()
		}
	}
	if f, err := r.open("/etc/passwd"); err == nil {
		t.Error("/etc/passwd was opened")
		f.Close()
	}
	found, err := r.besides(&s, dir+"/log")
	if err != nil || !strings.Contains(string(found), "authlog") {
		t.Errorf("what stands in a root: %q, %v", found, err)
	}
	// A folder that was replaced is another one: the old one is still read, the new one is not seen.
	if err := errors.Join(os.Rename(dir+"/log", dir+"/log.old"), os.Mkdir(dir+"/log", 0o755), os.WriteFile(dir+"/log/authlog", []byte("new"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if f, err := r.open(dir + "/log/authlog"); err != nil {
		t.Error(err)
	} else {
		if b, _ := io.ReadAll(f); string(b) != "a" {
			t.Errorf("through the root, the log holds %q", b)
		}
		f.Close()
	}
}

// A reload cannot add folders to a process that sees no others any more; it says so, and the old settings stay.
func TestNarrowedReload(t *testing.T) {
	t.Parallel()
	dir := rootOnlyDir(t)
	put(t, dir+"/log/authlog", "a")
	put(t, dir+"/other/x.log", "x")
	s := Settings{Pfctl: "/sbin/pfctl", Anchors: []Anchor{{Path: "a"}}, Files: []string{dir + "/log/authlog"}}
	g, err := NewGuard(GuardOptions{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Narrow(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.roots.close)
	more := s
	more.Files = []string{dir + "/log/authlog", dir + "/other/x.log"}
	if err := g.Change(more); err == nil || !strings.Contains(err.Error(), dir+"/other") || !strings.Contains(err.Error(), "restart") {
		t.Errorf("a reload with another folder: %v", err)
	}
	if g.settings.Load().MayOpen(dir + "/other/x.log") {
		t.Error("the refused settings count")
	}
	for key, change := range map[string]func(*Settings){
		"never_defaults":  func(s *Settings) { s.NeverDefaults = true },
		"pflog.interface": func(s *Settings) { s.Interface = "pflog0" },
	} {
		other := s
		change(&other)
		if err := g.Change(other); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("a reload with %s: %v", key, err)
		}
	}
	more.Files = []string{dir + "/log/authlog", dir + "/log/new.log"}
	if err := g.Change(more); err != nil {
		t.Errorf("a reload with another file of the same folder: %v", err)
	}
}
