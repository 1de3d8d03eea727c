package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrInUse says that another daemon answers at the socket already.
var ErrInUse = errors.New("another daemon is running")

// mode of the socket: the owner and the group may connect, which on a unix socket needs writing.
const mode = 0o660

// Listen makes the control socket, readable by group ("" = the process' own). A socket that a dead daemon left behind is
// replaced; one that answers is ErrInUse, and anything else at that path is left alone. The socket gets its owner and mode
// under another name first, so that it is never open to others, not even for a moment.
func Listen(path, group string) (*net.UnixListener, error) {
	if err := clear(path); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	gid := -1
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("control socket %s: group %s: %w; name another one as control.group", path, group, err)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, fmt.Errorf("control socket %s: group %s has id %q: %w", path, group, g.Gid, err)
		}
	}
	temporary := filepath.Join(filepath.Dir(path), ".pfw"+strconv.Itoa(os.Getpid()))
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // Close would look for the temporary name
	if err := own(temporary, path, gid); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket %s: %w", path, err), l.Close(), ignoreMissing(os.Remove(temporary)))
	}
	return l, nil
}

func own(temporary, path string, gid int) error {
	if gid >= 0 {
		if err := os.Lchown(temporary, -1, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// Remove takes away the socket that Listen made, at the end of the daemon. It is no error if it is gone.
func Remove(path string) error { return ignoreMissing(os.Remove(path)) }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// clear makes sure that path is free, or a socket nobody listens on any more.
func clear(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("there is something else than a socket (%s); move it away, or name another path as control.socket", info.Mode())
	}
	c, err := net.DialTimeout("unix", path, 2*time.Second)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%w and answers there; stop it first", ErrInUse), c.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}
