//go:build openbsd || freebsd || netbsd || dragonfly || darwin

package follow

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// kqueue watches the follower's own descriptors and one more a directory. (fsnotify would open every file of a watched
// directory.) A file whose descriptor was closed for others is left to polling.
type kqueue struct {
	*changes
	kq   int
	stop *os.File // writing end of a pipe that ends run
	done chan struct{}

	mu    sync.Mutex     // guards what follows
	files map[int]string // descriptor → path
	dirs  map[string]*os.File
}

// Changes of a file, and of a directory's entries.
const (
	fileNotes = unix.NOTE_WRITE | unix.NOTE_EXTEND | unix.NOTE_ATTRIB | unix.NOTE_DELETE | unix.NOTE_RENAME
	dirNotes  = unix.NOTE_WRITE | unix.NOTE_DELETE | unix.NOTE_RENAME
)

func newWatcher(_ *slog.Logger) (Watcher, error) {
	kq, err := unix.Kqueue()
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(kq)
	r, w, err := os.Pipe()
	if err != nil {
		unix.Close(kq)
		return nil, err
	}
	k := &kqueue{changes: newChanges(), kq: kq, stop: w, done: make(chan struct{}), files: map[int]string{}, dirs: map[string]*os.File{}}
	if err := k.register(r, unix.EVFILT_READ, 0); err != nil {
		return nil, errors.Join(err, r.Close(), w.Close(), unix.Close(kq))
	}
	go k.run(r)
	return k, nil
}

func (k *kqueue) register(f *os.File, filter int, notes uint32) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		var ev unix.Kevent_t
		unix.SetKevent(&ev, int(fd), filter, unix.EV_ADD|unix.EV_CLEAR)
		ev.Fflags = notes
		_, failed = unix.Kevent(k.kq, []unix.Kevent_t{ev}, nil, nil)
	})
	return errors.Join(err, failed)
}

func (k *kqueue) Add(path string, f *os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f != nil {
		if fd, ok := descriptor(f); ok && k.register(f, unix.EVFILT_VNODE, fileNotes) == nil {
			k.files[fd] = path
		}
	}
	dirs := []string{filepath.Dir(path)}
	if isGlob(dirs[0]) {
		dirs, _ = filepath.Glob(dirs[0])
	}
	for _, dir := range dirs {
		k.addDir(dir)
	}
}

func (k *kqueue) addDir(dir string) {
	if k.dirs[dir] != nil {
		return
	}
	f, err := os.Open(dir)
	if err != nil {
		return // polling finds it
	}
	if k.register(f, unix.EVFILT_VNODE, dirNotes) != nil {
		f.Close()
		return
	}
	k.dirs[dir] = f
}

// Remove forgets the descriptor; closing it ends the kernel's watch.
func (k *kqueue) Remove(_ string, f *os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if fd, ok := descriptor(f); ok {
		delete(k.files, fd)
	}
}

func descriptor(f *os.File) (fd int, ok bool) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = conn.Control(func(d uintptr) { fd = int(d) })
	return fd, err == nil
}

func (k *kqueue) Close() error {
	err := k.stop.Close() // run reads the end of file
	<-k.done
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.dirs {
		err = errors.Join(err, f.Close())
	}
	return errors.Join(err, unix.Close(k.kq))
}

func (k *kqueue) run(stop *os.File) {
	defer close(k.done)
	defer stop.Close()
	end, _ := descriptor(stop)
	events := make([]unix.Kevent_t, 64)
	for {
		n, err := unix.Kevent(k.kq, nil, events, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // polling remains
		}
		for _, ev := range events[:n] {
			if int(ev.Ident) == end {
				return
			}
			k.event(int(ev.Ident), ev.Fflags)
		}
	}
}

func (k *kqueue) event(fd int, notes uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if path, ok := k.files[fd]; ok {
		k.add(path, notes&^(unix.NOTE_WRITE|unix.NOTE_EXTEND) == 0)
		return
	}
	for name, dir := range k.dirs {
		if d, ok := descriptor(dir); ok && d == fd {
			if notes&(unix.NOTE_DELETE|unix.NOTE_RENAME) != 0 {
				delete(k.dirs, name) // another may stand there: the next Add opens it
				dir.Close()
			}
			k.addNames()
			return
		}
	}
}
