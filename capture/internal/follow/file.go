package follow

import (
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/internal/unpack"
)

// markLen is how many bytes before the reading place are read again and compared, so that a file that was truncated and
// has grown beyond that place since is not mistaken for one that has grown.
const markLen = 64

// errReplaced says that what stands in the file is not what was read of it before.
var errReplaced = errors.New("file was truncated or rewritten")

// File is one of the files that stood, or still stands, at a path.
type File struct {
	State any // the sink's own, for instance an incomplete record

	p         *path
	f         *os.File       // nil while closed
	src       *unpack.Reader // of a compressed file that was found after a restart
	key       fileKey
	known     *identity // the name it was stored under, if that is another: a compressed file, a copy
	head      []byte    // its first bytes, up to headLen
	mark      []byte    // the last bytes before off, up to markLen
	before    []byte    // mark when reading began
	off       int64     // read so far
	at        int64     // where the bytes of the current Data call begin
	committed int64
	size      int64 // when last looked at
	found     int64 // its size when it was found
	mtime     time.Time
	present   bool // at the start, without a stored position
	read      bool // up to size and mtime
	shrunk    bool // it was seen shorter than what was read
	closed    bool // nobody writes to it any more: it ends where it ends
	grown     time.Time
	elem      *list.Element // in Follower.recent
	idText    string        // of identity(), built when needed
}

// Path is the path under which the file is followed, also after it was renamed.
func (f *File) Path() string { return f.p.name }

// Offset is where the bytes of the current Data call begin; in End it is where the file ended.
func (f *File) Offset() int64 { return f.at }

// Head gives the file's first bytes, up to 256.
func (f *File) Head() []byte { return f.head }

// Before gives the bytes before those of the first Data call, up to 64: what a stored position, or a start at the end,
// skipped.
func (f *File) Before() []byte { return f.before }

// Modified is the file's modification time.
func (f *File) Modified() time.Time { return f.mtime }

// Present tells that the file stood at its path when following began, and that no position was stored for it.
func (f *File) Present() bool { return f.present }

// Found is the file's size when it was found, in bytes: of one that is Present, when following began.
func (f *File) Found() int64 { return f.found }

// Commit says that everything before offset is dealt with: reading resumes there after a restart.
func (f *File) Commit(offset int64) { f.committed = offset }

// Position gives the position at offset. To make many, make one and change its Offset.
func (f *File) Position(offset int64) capture.Position {
	if f.idText == "" {
		f.idText = f.identity().String()
	}
	pos := capture.Position{Path: f.p.name, Identity: f.idText, Offset: offset}
	if f == f.p.cur && len(f.p.old) == 0 {
		return pos
	}
	all := f.p.old
	if f.p.cur != nil {
		all = append(all[:len(all):len(all)], f.p.cur)
	}
	for i, other := range all {
		sign := ""
		if i == len(all)-1 {
			sign = "!"
		}
		if other != f {
			pos.Identity += fmt.Sprintf("|%s%s@%d", sign, other.identity(), other.committed)
		}
	}
	return pos
}

func (f *File) identity() identity {
	if f.known != nil {
		return *f.known
	}
	return makeIdentity(f.key, f.head)
}

// newFile takes an open file whose reading goes on at off.
func (p *path) newFile(file *os.File, off int64, now time.Time) (*File, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f := &File{p: p, f: file, key: keyOf(st), head: readHead(file), off: off, committed: off, at: off,
		size: st.Size(), found: st.Size(), mtime: st.ModTime(), grown: now}
	if err := f.readMark(); err != nil {
		return nil, err
	}
	f.before = bytes.Clone(f.mark)
	return f, nil
}

// newPacked takes an open compressed file and skips to off.
func (p *path) newPacked(file *os.File, off int64, now time.Time) (*File, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	src, err := unpack.NewReader(file)
	if err != nil {
		return nil, err
	}
	f := &File{p: p, f: file, src: src, key: keyOf(st), mtime: st.ModTime(), grown: now, closed: true}
	head := make([]byte, headLen)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		src.Close()
		return nil, err
	}
	f.head = head[:n]
	src.Reader = io.MultiReader(bytes.NewReader(f.head), src.Reader)
	if skipped, err := io.CopyN(io.Discard, src, off); err != nil {
		src.Close()
		return nil, fmt.Errorf("skip to byte %d, at %d: %w", off, skipped, err)
	}
	f.off, f.at, f.committed, f.size = off, off, off, off
	return f, nil
}

func (f *File) readMark() error {
	n := min(f.off, markLen)
	f.mark = make([]byte, n, markLen)
	if _, err := f.f.ReadAt(f.mark, f.off-n); err != nil {
		if errors.Is(err, io.EOF) {
			return errReplaced
		}
		return err
	}
	return nil
}

// observe notes what stat says.
func (f *File) observe(st os.FileInfo, now time.Time) {
	if st.Size() != f.size || !st.ModTime().Equal(f.mtime) {
		f.read = false
		f.grown = now
	}
	f.size, f.mtime = st.Size(), st.ModTime()
	f.shrunk = f.size < f.off
}

// next reads on into buf, which is markLen bytes longer than what it may yield.
func (f *File) next(buf []byte) ([]byte, error) {
	if f.src != nil {
		n, err := io.ReadFull(f.src, buf[:len(buf)-markLen])
		if n > 0 || errors.Is(err, io.EOF) {
			err = nil
		}
		f.size = f.off + int64(n)
		return buf[:n], err
	}
	k := len(f.mark)
	n, err := f.f.ReadAt(buf, f.off-int64(k))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n < k || !bytes.Equal(buf[:k], f.mark) {
		return nil, errReplaced
	}
	return buf[k:n], nil
}

// advance notes that data was handed over.
func (f *File) advance(data []byte) {
	if len(f.head) < headLen && f.off == int64(len(f.head)) {
		f.head = append(f.head, data[:min(len(data), headLen-len(f.head))]...)
		f.idText = ""
	}
	f.off += int64(len(data))
	if len(data) >= markLen {
		f.mark = append(f.mark[:0], data[len(data)-markLen:]...)
		return
	}
	if over := len(f.mark) + len(data) - markLen; over > 0 {
		f.mark = append(f.mark[:0], f.mark[over:]...)
	}
	f.mark = append(f.mark, data...)
}

// close gives the descriptor back. A File that stands at its path is opened again when it grows.
func (f *File) close() {
	if f.elem != nil {
		f.p.w.recent.Remove(f.elem)
		f.elem = nil
	}
	if f.src != nil {
		f.src.Close()
	}
	if f.f != nil {
		f.p.w.watcher.Remove(f.p.name, f.f)
		f.f.Close() // only read from: nothing to lose
		f.f = nil
	}
}

// touch notes that f was active and closes the file that was so the longest time ago if too many are open.
func (w *Follower) touch(f *File) {
	if f.elem != nil {
		w.recent.MoveToFront(f.elem)
		return
	}
	f.elem = w.recent.PushFront(f)
	if w.recent.Len() > w.opts.MaxOpen {
		idle := w.recent.Back().Value.(*File)
		idle.close()
		idle.p.changed = true
	}
}
