package privsep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Inherited is what a worker got from the privileged process.
type Inherited struct {
	Role
	Socket  *os.File
	Control *net.UnixListener // nil = none
	Metrics net.Listener      // nil = none
	Journal *os.File          // nil = none
}

// Inherit takes over what the privileged process handed to this worker. It is an error if there is none.
func Inherit() (*Inherited, error) {
	text, ok := os.LookupEnv(envWorker)
	if !ok {
		return nil, errors.New("a worker is started by pfwarden run, not by hand")
	}
	if err := closeLeaked(fdJournal + 1); err != nil {
		return nil, fmt.Errorf("descriptors that were not handed over: %w", err)
	}
	in := &Inherited{Socket: os.NewFile(fdSocket, "guard")}
	if err := json.Unmarshal([]byte(text), &in.Role); err != nil {
		return nil, fmt.Errorf("%s: %w", envWorker, err)
	}
	if in.Role.Control {
		l, err := listener(fdControl)
		if err != nil {
			return nil, err
		}
		u, ok := l.(*net.UnixListener)
		if !ok {
			return nil, errors.New("the control socket handed over is none")
		}
		u.SetUnlinkOnClose(false)
		in.Control = u
	}
	if in.Role.Metrics {
		l, err := listener(fdMetrics)
		if err != nil {
			return nil, err
		}
		in.Metrics = l
	}
	if in.Role.Journal {
		in.Journal = os.NewFile(fdJournal, "journal")
	}
	closeOnExec(fdSocket, fdControl, fdMetrics, fdJournal)
	return in, os.Unsetenv(envWorker)
}

func listener(fd uintptr) (net.Listener, error) {
	f := os.NewFile(fd, "listener")
	defer f.Close() // FileListener has its own
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("listener handed over: %w", err)
	}
	return l, nil
}

// known is a configuration file of the system's that the worker may need later, when it cannot open it any more.
type known struct {
	path string
	text []byte
}

// write puts the file where it was read, below the worker's root. Where it cannot be written whole, what is there stays.
func (k known) write() error {
	if there, err := os.ReadFile(k.path); err == nil && bytes.Equal(there, k.text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(k.path), 0o755); err != nil {
		return err
	}
	next := k.path + ".new"
	err := os.WriteFile(next, k.text, 0o644) //nolint:gosec // as the original
	if err == nil {
		err = os.Rename(next, k.path)
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}

// Drop gives up all rights, for good: the file system but the worker's folder (if a chroot is asked for), groups, user, the right to
// gain others, core dumps, and, where the system allows, to run programs and to be traced.
func (r *Role) Drop(n WorkerNeeds) error {
	var keep []known
	if r.Chroot != "" {
		for _, path := range []string{"/etc/resolv.conf", "/etc/hosts"} {
			if text, err := os.ReadFile(path); err == nil && len(text) < 1<<20 {
				keep = append(keep, known{path, text})
			}
		}
	}
	if err := limitWorker(n.Memory); err != nil {
		return fmt.Errorf("worker: resource limits: %w", err)
	}
	if r.Chroot != "" {
		if err := changeRoot(r.Chroot); err != nil {
			return fmt.Errorf("worker: chroot to %s: %w", r.Chroot, err)
		}
	}
	if err := forbid(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	if err := becomeUser(r.UID, r.GID); err != nil {
		return fmt.Errorf("worker: giving up root: %w", err)
	}
	for _, k := range keep { // as the user that we now are, in the worker's own folder
		switch err := k.write(); {
		case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT): // names are looked up by what was copied before; all else works
			r.Stale = append(r.Stale, k.path)
		case err != nil:
			return fmt.Errorf("worker: copy of %s: %w", k.path, err)
		}
	}
	if err := confine(n); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return nil
}
