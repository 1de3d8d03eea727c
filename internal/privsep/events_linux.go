package privsep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// hasEvents says that the privileged process can watch folders for the worker.
const hasEvents = true

// maxWatchers bounds the inotify instances that a worker is handed in its life: it may keep them all, and they count as root's, who has
// 128 by default (inotify(7)). An honest worker needs one for its logs and one for pflog. maxWatches bounds what one path or glob may watch.
const (
	maxWatchers = 16
	maxWatches  = 1000
)

// events is an inotify instance whose watches we set and whose events only the worker reads.
type events struct {
	number int
	file   *os.File
}

func (e *events) close() { e.file.Close() }

// watchMask is every change of a file, and of the names in a folder.
const watchMask = unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CREATE | unix.IN_ATTRIB | unix.IN_MODIFY | unix.IN_MOVE_SELF |
	unix.IN_DELETE | unix.IN_DELETE_SELF

// begin makes an inotify instance, hands over a copy, and says its number. A worker that had too many polls instead.
func (s *session) begin() (*os.File, []byte, error) {
	if len(s.events) >= maxWatchers {
		return nil, nil, os.NewSyscallError("inotify_init1", unix.EMFILE)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, nil, os.NewSyscallError("inotify_init1", err)
	}
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.Join(err, unix.Close(fd))
	}
	number := len(s.events) + 1
	s.events = append(s.events, &events{number, os.NewFile(uintptr(fd), "inotify")})
	return os.NewFile(uintptr(copied), "inotify"), binary.BigEndian.AppendUint32(nil, uint32(number)), nil //nolint:gosec // small
}

// watch sets a watch on a path's folder, that of its link's target too, or the folders of a glob, and says what events mean it:
// descriptor of the watch, and the name in it ("" for a glob).
func (s *session) watch(set *Settings, number int, path string) ([]byte, error) {
	var in *os.File
	for _, e := range s.events {
		if e.number == number {
			in = e.file
		}
	}
	if in == nil {
		return nil, fmt.Errorf("watch %d: %w", number, os.ErrNotExist)
	}
	var b []byte
	add := func(p *place, name string) error {
		wd, err := unix.InotifyAddWatch(int(in.Fd()), fmt.Sprintf("/proc/self/fd/%d", p.dir.Fd()), watchMask)
		if err != nil {
			return os.NewSyscallError("inotify_add_watch", err)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(wd))        //nolint:gosec // never negative
		b = binary.BigEndian.AppendUint16(b, uint16(len(name))) //nolint:gosec // at most 255 bytes
		b = append(b, name...)
		return nil
	}
	dir, base := filepath.Split(path)
	dir = filepath.Clean(dir)
	if !strings.ContainsAny(path, `*?[\`) || set.MayOpen(path) && !set.mayGlob(path) {
		p, err := s.g.roots.walkDir(dir)
		if err != nil {
			return nil, err
		}
		defer p.close()
		if err := add(p, base); err != nil {
			return nil, err
		}
		if target, err := s.g.roots.walk(path); err == nil { // writes to a link's target are seen in the target's folder only
			defer target.close()
			if target.name != base || !sameFolder(target.dir, p.dir) {
				err = add(target, target.name)
			}
			return b, err
		}
		return b, nil
	}
	dirs, err := glob(dir, maxWatches)
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		p, err := s.g.roots.walkDir(d)
		if err == nil {
			err = add(p, "")
			p.close()
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func sameFolder(a, b *os.File) bool {
	x, err := a.Stat()
	if err != nil {
		return false
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y)
}
