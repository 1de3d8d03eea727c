package privsep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the symbolic links of one path.
const maxLinks = 16

// errUnsafe says that somebody else than root decides what stands at a path.
var errUnsafe = errors.New("not followed")

// place is where a path ends: an open folder and a name in it.
type place struct {
	dir    *os.File
	at     string // the folder's path, without links
	name   string
	st     unix.Stat_t // of the file, not of a link
	unsure bool        // others than root may change the folder
}

func (p *place) close() {
	if p.dir != nil {
		p.dir.Close()
	}
}

// walk follows an absolute path from / on, one descriptor at a time, so that nobody can put another folder in its way meanwhile.
// A symbolic link is followed only where it is root's (or our own user's) in a folder that none but root may change, or that has
// the sticky bit; nothing is followed through a folder that everybody may change without it.
func walk(path string) (*place, error) { return roots(nil).walk(path) }

// walk is the same from the folder among the roots that the path leads through; where there are none, from /.
func (r roots) walk(path string) (*place, error) { return r.walkOn(path, maxLinks) }

func (r roots) walkOn(path string, links int) (*place, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%s: %w: not absolute", path, errUnsafe)
	}
	at, p, err := r.begin(path)
	if err != nil {
		return nil, err
	}
	below := strings.Trim(strings.TrimPrefix(filepath.Clean(path), at), "/")
	if below == "" {
		return p, nil
	}
	rest := strings.Split(below, "/")
	for len(rest) > 0 {
		p.name, rest = rest[0], rest[1:]
		target, err := p.step(at, len(rest) > 0)
		if err != nil {
			p.close()
			if errors.Is(err, errUnsafe) {
				err = fmt.Errorf("%s: %w", filepath.Join(at, p.name), err)
			}
			return nil, err
		}
		if target != "" {
			p.close()
			if links--; links < 0 {
				return nil, unix.ELOOP
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(at, target) // there is no link in at
			}
			return r.walkOn(filepath.Join(append([]string{target}, rest...)...), links)
		}
		if p.at = at; len(rest) > 0 {
			at = filepath.Join(at, p.name)
		}
	}
	return p, nil
}

// step looks at the place's name in the folder at, and goes into it if it is a folder within the path. If it is a link, its target is returned.
func (p *place) step(at string, inner bool) (target string, err error) {
	trust, err := trustOf(p.dir)
	if err != nil {
		return "", err
	}
	p.unsure = p.unsure || trust == others
	fd := int(p.dir.Fd())
	if err := unix.Fstatat(fd, p.name, &p.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return "", err
	}
	root := ours(uint64(p.st.Uid))
	link := p.st.Mode&unix.S_IFMT == unix.S_IFLNK
	switch {
	case trust == anybody, trust == sticky && !root:
		return "", fmt.Errorf("%w: everybody may change the folder that holds it", errUnsafe)
	case link && (p.unsure || !root):
		return "", fmt.Errorf("%w: a symbolic link that others than root may change", errUnsafe)
	case link:
		return os.Readlink(filepath.Join(at, p.name)) // nobody but root can put another one in its place
	case inner:
		next, err := openDir(fd, p.name)
		if err != nil {
			return "", err
		}
		p.dir.Close()
		p.dir = next
	}
	return "", nil
}

func openDir(at int, name string) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// trust says who may change a folder.
type trust int

const (
	rootOnly trust = iota
	others         // a user or a group
	sticky         // everybody, but each only what is his
	anybody
)

func trustOf(dir *os.File) (trust, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return anybody, err
	}
	switch {
	case st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0:
		return anybody, nil
	case st.Mode&0o002 != 0:
		return sticky, nil
	case !ours(uint64(st.Uid)), st.Mode&0o020 != 0 && st.Gid != 0:
		return others, nil
	}
	return rootOnly, nil
}

// ours tells whether a file is root's or this process's own user's.
func ours(uid uint64) bool { return uid == 0 || uid == uint64(os.Geteuid()) } //nolint:gosec // never negative

// open opens what a walk found, for reading, if it is a regular file. A file with a second name is refused where others than root could
// have linked any file there: see linked.
func (p *place) open(path string) (*os.File, error) {
	fd, err := unix.Openat(int(p.dir.Fd()), p.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = fmt.Errorf("%s: %w: it is no regular file", path, errUnsafe)
	case st.Nlink > 1:
		if err = p.linked(&st); errors.Is(err, errUnsafe) {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// linked says why a file with several names is not opened, nil if it is. link(2) lets whoever may change a folder put any file of the same
// file system there: only a folder's own user, alone, may do so with files of his, since he could hand those over anyway.
func (p *place) linked(st *unix.Stat_t) error {
	var folder unix.Stat_t
	if err := unix.Fstat(int(p.dir.Fd()), &folder); err != nil {
		return err
	}
	trust, err := trustOf(p.dir)
	if err != nil {
		return err
	}
	own := st.Uid == folder.Uid
	if trust != rootOnly {
		own = own && !ours(uint64(folder.Uid)) && folder.Mode&0o022 == 0
	}
	if own || trust == rootOnly && !p.unsure {
		return nil
	}
	return fmt.Errorf("%w: it has another name, and others than root may change its folder", errUnsafe)
}

// look gives the status of what a walk found.
func (p *place) look() status {
	st := &p.st
	mode := fs.FileMode(st.Mode & 0o777) //nolint:gosec,unconvert // widths differ by system
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	default:
		mode |= fs.ModeIrregular
	}
	return status{name: p.name, size: st.Size, mode: mode, modified: st.Mtim.Nano(), dev: uint64(st.Dev), ino: uint64(st.Ino)} //nolint:gosec,unconvert // widths differ by system
}
