package privsep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of what is opened for roots: OpenBSD's unveil(2) takes 128 folders, those on the way to them counted, and more than roots is unveiled.
const (
	maxRoots    = 32
	maxPassed   = 80   // folders on the way to them, and they themselves
	maxLinked   = 100  // the same with folders that links lead to
	maxResolved = 1000 // files looked at for links that lead elsewhere
)

// root is a folder that stays open, through which files are reached when nothing else of the file system can be.
type root struct {
	path   string // as it is configured, or as a link leads to it
	dir    *os.File
	unsure bool // others than root may change a folder above
}

// roots are the folders that are left to a process. None at all: the whole file system.
type roots []root

// begin gives the place to walk from: the root that a path leads through, or /.
func (r roots) begin(path string) (at string, p *place, err error) {
	if r == nil {
		dir, err := openDir(unix.AT_FDCWD, "/")
		return "/", &place{dir: dir, at: "/", name: "."}, err
	}
	i := r.above(path)
	if i < 0 {
		return "", nil, fmt.Errorf("%s: %w: it lies in none of the folders that this process has had since its start", path, errUnsafe)
	}
	dir, err := openDir(int(r[i].dir.Fd()), ".")
	return r[i].path, &place{dir: dir, at: r[i].path, name: ".", unsure: r[i].unsure}, err
}

// above finds the innermost root that a path leads through; -1 = none.
func (r roots) above(path string) (found int) {
	found = -1
	for i := range r {
		if within(path, r[i].path) && (found < 0 || len(r[i].path) > len(r[found].path)) {
			found = i
		}
	}
	return found
}

// within tells whether a path is a folder's or leads through it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

func (r roots) close() {
	for i := range r {
		r[i].dir.Close()
	}
}

// openRoots opens the folders that files and globs are reached through: their own as far as no glob begins, and those that links lead to now.
// A folder that is not there yet is reached through the one above it. Those that walk does not go to are told in the error, and left out.
func openRoots(files []string) (r roots, err error) {
	var errs []error
	r = roots{}
	for _, dir := range rootFolders(files) {
		if err := r.add(dir); err != nil {
			errs = append(errs, err)
		}
	}
	looked := 0
	for _, f := range files {
		names, _ := filepath.Glob(f) // patterns were checked
		for _, name := range names[:min(len(names), maxResolved-looked)] {
			looked++
			p, err := walk(name)
			if err != nil {
				continue // whoever opens it is told
			}
			p.close()
			switch {
			case r.above(p.at) >= 0:
			case passed(append(r.paths(), p.at)) > maxLinked:
				errs = append(errs, fmt.Errorf("folder %s, which %s leads to: there are too many such folders", p.at, name))
			default:
				errs = append(errs, r.add(p.at))
			}
		}
	}
	return r, errors.Join(errs...)
}

// add opens a folder, or the nearest above it that is there.
func (r *roots) add(dir string) error {
	p, err := roots(nil).walkDir(dir)
	for above := dir; errors.Is(err, fs.ErrNotExist) && above != "/"; {
		above = filepath.Dir(above)
		if (*r).above(above) >= 0 {
			return nil
		}
		dir = above
		p, err = roots(nil).walkDir(above)
	}
	if err != nil {
		return fmt.Errorf("folder %s: %w", dir, err)
	}
	*r = append(*r, root{dir, p.dir, p.unsure})
	return nil
}

// missing lists the folders of files and globs that the roots do not lead to.
func (r roots) missing(files []string) (out []string) {
	if r == nil {
		return nil
	}
	for _, dir := range rootFolders(files) {
		if r.above(dir) < 0 {
			out = append(out, dir)
		}
	}
	return out
}

// paths are those of the roots.
func (r roots) paths() (list []string) {
	for i := range r {
		list = append(list, r[i].path)
	}
	return list
}

// passed counts the folders that one goes through to reach all of some folders, they themselves too.
func passed(dirs []string) int {
	seen := map[string]bool{"/": true}
	for _, d := range dirs {
		for ; !seen[d]; d = filepath.Dir(d) {
			seen[d] = true
		}
	}
	return len(seen)
}

// rootFolders are the folders of files and globs, as far as no glob begins, none within another, and not too many: where they are, the innermost
// are replaced by those above them.
func rootFolders(files []string) []string {
	var dirs []string
	for _, f := range files {
		dir := filepath.Dir(f)
		if i := strings.IndexAny(f, `*?[\`); i >= 0 {
			dir = filepath.Dir(f[:i] + "x")
		}
		dirs = append(dirs, dir)
	}
	dirs = outermost(dirs)
	for len(dirs) > maxRoots || passed(dirs) > maxPassed {
		deepest := 0
		for _, d := range dirs {
			deepest = max(deepest, strings.Count(d, "/"))
		}
		for i, d := range dirs {
			if strings.Count(d, "/") == deepest {
				dirs[i] = filepath.Dir(d)
			}
		}
		dirs = outermost(dirs)
	}
	return dirs
}

// outermost sorts folders and leaves out those within others.
func outermost(dirs []string) []string {
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	return slices.DeleteFunc(slices.Clone(dirs), func(d string) bool {
		return slices.ContainsFunc(dirs, func(other string) bool { return other != d && within(d, other) })
	})
}
