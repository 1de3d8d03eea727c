package privsep

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxNames bounds the names of one answer.
const maxNames = 20000

// open answers an open request.
func (s *session) open(number uint32, r *request) frame {
	set := s.g.settings.Load()
	allowed := set.MayOpen
	switch r.way {
	case openNames:
		allowed = set.mayGlob
	case openBeside:
		allowed = set.mayList
	case openEvents:
		allowed = func(path string) bool { return path == "" }
	case openWatch:
		allowed = func(path string) bool {
			_, path, ok := cutWatch(path)
			return ok && (set.MayOpen(path) || set.mayGlob(path))
		}
	}
	if !allowed(r.path) {
		return refusal(number, "the path is not configured")
	}
	f := frame{kind: replyDone, number: number}
	var err error
	switch r.way {
	case openFile:
		if f.file, err = s.g.roots.open(r.path); err == nil {
			err = limitRights(f.file, handFile)
		}
	case openStatus:
		f.payload, err = s.g.roots.look(r.path)
	case openNames:
		f.payload, err = names(r.path)
	case openBeside:
		f.payload, err = s.g.roots.besides(set, r.path)
	case openEvents:
		f.file, f.payload, err = s.begin()
	case openWatch:
		number, path, _ := cutWatch(r.path)
		f.payload, err = s.watch(set, number, path)
	}
	if err != nil {
		if f.file != nil {
			f.file.Close()
		}
		return failure(number, err)
	}
	return f
}

// cutWatch takes the number of a watch, as begin gave it, from before a path: "3:/var/log/authlog".
func cutWatch(text string) (number int, path string, ok bool) {
	digits, path, ok := strings.Cut(text, ":")
	number, err := strconv.Atoi(digits)
	return number, path, ok && err == nil && strconv.Itoa(number) == digits
}

// failure answers with the system's error.
func failure(number uint32, err error) frame {
	if errors.Is(err, errUnsafe) { // the file system's fault, not the worker's
		return frame{kind: replyErrno, number: number, payload: append(binary.BigEndian.AppendUint32(nil, uint32(unix.EACCES)), err.Error()...)}
	}
	code := unix.EIO
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		code = errno
	}
	if errors.Is(err, errors.ErrUnsupported) {
		code = unix.ENOSYS
	}
	return frame{kind: replyErrno, number: number, payload: append(binary.BigEndian.AppendUint32(nil, uint32(code)), err.Error()...)}
}

func (r roots) open(path string) (*os.File, error) {
	p, err := r.walk(path)
	if err != nil {
		return nil, err
	}
	defer p.close()
	return p.open(path)
}

func (r roots) look(path string) ([]byte, error) {
	p, err := r.walk(path)
	if err != nil {
		return nil, err
	}
	defer p.close()
	st := p.look()
	return st.append(nil), nil
}

// names lists what a configured glob matches.
func names(pattern string) ([]byte, error) {
	list, err := glob(pattern, maxNames)
	if err != nil {
		return nil, err
	}
	var b []byte
	for _, name := range list {
		if len(name) > maxPath || len(b)+len(name)+2 > maxReply {
			break
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(name))) //nolint:gosec // just compared
		b = append(b, name...)
	}
	return b, nil
}

// besides lists the files of a folder that are, or were, configured logs, with their status.
func (r roots) besides(set *Settings, dir string) ([]byte, error) {
	p, err := r.walkDir(dir)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var b []byte
	count := 0
	for name, err := range entries(p.dir) {
		if err != nil {
			return nil, err
		}
		if count >= maxNames || len(b) > maxReply-maxPath {
			break
		}
		if !set.MayOpen(filepath.Join(dir, name)) {
			continue
		}
		one := place{dir: p.dir, name: name}
		if unix.Fstatat(int(p.dir.Fd()), name, &one.st, unix.AT_SYMLINK_NOFOLLOW) != nil {
			continue // gone meanwhile
		}
		st := one.look()
		b = st.append(b)
		count++
	}
	return b, nil
}

// walkDir opens a folder in the way that walk goes.
func (r roots) walkDir(dir string) (*place, error) {
	p, err := r.walk(dir)
	if err != nil {
		return nil, err
	}
	next, err := openDir(int(p.dir.Fd()), p.name)
	if err != nil {
		p.close()
		return nil, err
	}
	p.dir.Close()
	p.dir = next
	return p, nil
}

// capture answers a capture request.
func (s *session) capture(set *Settings, number uint32) frame {
	c, err := s.g.o.Capture(set.Interface, set.Snaplen)
	if err != nil {
		return failure(number, err)
	}
	if err := limitRights(c.File, handCapture); err != nil {
		return failure(number, errors.Join(err, c.File.Close()))
	}
	return frame{kind: replyDone, number: number, payload: binary.BigEndian.AppendUint32(nil, c.Buffer), file: c.File}
}
