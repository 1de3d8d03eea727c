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

// shared are folders that belong to the system: the worker gets no rights on them.
func shared() []string {
	return []string{"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/opt", "/root", "/run", "/sbin", "/usr", "/usr/local", "/usr/local/etc",
		"/var", "/var/cache", "/var/db", "/var/lib", "/var/log", "/var/run", "/var/spool", "/var/www"}
}

// ledgerSuffixes are those of the files that belong to a ledger, and to one that is to replace it.
func ledgerSuffixes() []string {
	return []string{"", "-wal", "-shm", "-journal", ".new", ".new-wal", ".new-shm", ".new-journal"}
}

// PrepareStore makes sure that the worker, and no other user, may write the ledger: its folder is made if it is not there and given to
// the worker; where it holds other files, too, the worker's group may add files to it (note says so). Nothing is done through
// symbolic links, on hard links, or in folders that others may change.
func PrepareStore(path string, uid, gid int) (note string, err error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("store.file %s: the worker needs an absolute path", path)
	}
	dir := filepath.Dir(path)
	if slices.Contains(shared(), dir) {
		return "", fmt.Errorf("store.file %s: %s belongs to the system; give the ledger a folder of its own", path, dir)
	}
	if err := makeFolder(dir, uid, gid); err != nil {
		return "", fmt.Errorf("store.file %s: %w", path, err)
	}
	p, err := roots(nil).walkDir(dir)
	if err != nil {
		return "", fmt.Errorf("folder of store.file: %w", err)
	}
	defer p.close()
	if note, err = p.giveFolder(dir, filepath.Base(path), uid, gid); err != nil {
		return "", fmt.Errorf("folder of store.file %s: %w", path, err)
	}
	for _, suffix := range ledgerSuffixes() {
		if err := p.giveFile(filepath.Base(path)+suffix, uid, gid); err != nil {
			return "", fmt.Errorf("store.file: %s: %w", path+suffix, err)
		}
	}
	return note, nil
}

// makeFolder makes a folder that is not there, and those above it.
func makeFolder(dir string, uid, gid int) error {
	_, err := os.Lstat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Lchown(dir, uid, gid) // in a folder that the caller may write; walk looks at it once more
}

func (p *place) giveFolder(dir, base string, uid, gid int) (note string, err error) {
	fd := int(p.dir.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	trust, err := trustOf(p.dir)
	switch {
	case err != nil:
		return "", err
	case trust == anybody:
		return "", fmt.Errorf("%w: everybody may change it", errUnsafe)
	case trust == sticky:
		return "", fmt.Errorf("%w: everybody may make files in it, and it becomes the worker's root; give the ledger a folder of its own", errUnsafe)
	case int(st.Uid) == uid:
		return "", nil
	case !ours(uint64(st.Uid)):
		return "", fmt.Errorf("it belongs to user %d, neither to root nor to the worker; chown it", st.Uid)
	}
	names, err := p.dir.Readdirnames(-1)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, base) && name != "etc" {
			mode := uint32(st.Mode)&0o777 | 0o030 | unix.S_ISVTX //nolint:unconvert // widths differ by system
			return "the folder of the ledger holds other files, too: the worker's group may add files to " + dir, errors.Join(unix.Fchown(fd, -1, gid), unix.Fchmod(fd, mode))
		}
	}
	return "", errors.Join(unix.Fchown(fd, uid, gid), unix.Fchmod(fd, 0o700))
}

func (p *place) giveFile(name string, uid, gid int) error {
	fd, err := unix.Openat(int(p.dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%w: no regular file", errUnsafe)
	case st.Nlink != 1:
		return fmt.Errorf("%w: it has another name", errUnsafe)
	case !ours(uint64(st.Uid)) && int(st.Uid) != uid:
		return fmt.Errorf("it belongs to user %d, neither to root nor to the worker; chown it", st.Uid)
	}
	return errors.Join(unix.Fchown(fd, uid, gid), unix.Fchmod(fd, 0o600))
}
