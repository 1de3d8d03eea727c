package privsep

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Safe says why a file that decides what root does (a configuration, and what it includes) is not to be read from a path, nil if it may be: everybody
// may change it or a folder that it lies in, or somebody else than root decides by a symbolic link what stands there. A link of root's in a folder of
// root's is followed. What cannot be looked at (it is not there, say) is for whoever opens it to complain of.
func Safe(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	p, err := walk(path)
	if err != nil {
		return onlyUnsafe(err)
	}
	defer p.close()
	return p.closedToAll(path)
}

// SafePlace is Safe for the path of a file that is written (ledger, journal, control socket), and need not be there yet: its folder is looked at, and
// what stands at the path itself must be no symbolic link of anybody's, and in a folder such as /tmp it must be root's or one of users'.
func SafePlace(path string, users ...int) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	p, err := roots(nil).walkDir(dir)
	if err != nil {
		return onlyUnsafe(err)
	}
	defer p.close()
	trust, err := trustOf(p.dir)
	if err != nil {
		return err
	}
	if trust == anybody {
		return fmt.Errorf("%s: %w: everybody may change the folder %s; chmod it to 0755, or name a path in another one", path, errUnsafe, dir)
	}
	p.name = filepath.Base(path)
	if err := unix.Fstatat(int(p.dir.Fd()), p.name, &p.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil //nolint:nilerr // it is not there, or whoever opens it will see why not
	}
	switch kind := p.st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		return fmt.Errorf("%s: %w: it is a symbolic link; name the file itself", path, errUnsafe)
	case trust == sticky && !ours(uint64(p.st.Uid)) && !slices.Contains(users, int(p.st.Uid)):
		return fmt.Errorf("%s: %w: it belongs to user %d, and everybody may make files in %s; name a path in another folder", path, errUnsafe, p.st.Uid, dir)
	}
	return p.closedToAll(path)
}

// closedToAll says that everybody may change what a walk found.
func (p *place) closedToAll(path string) error {
	kind := p.st.Mode & unix.S_IFMT
	if p.st.Mode&0o002 == 0 || kind != unix.S_IFREG && kind != unix.S_IFSOCK {
		return nil
	}
	return fmt.Errorf("%s: %w: everybody may change it; see what is in it, then take that right away (chmod o-w)", path, errUnsafe)
}

// onlyUnsafe leaves all other errors to whoever opens the file.
func onlyUnsafe(err error) error {
	if !errors.Is(err, errUnsafe) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
