package follow

import (
	"errors"
	"os"
	"slices"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/internal/unpack"
)

// endGlobbed is after how many Lingers without a byte a file is given up that a glob had found and that is gone.
const endGlobbed = 10

// path is one followed path: the file that stands there and those that stood there and are not yet read to their end.
type path struct {
	w        *Follower
	name     string
	globbed  bool // found by a glob: forgotten when it is gone
	appeared bool // after the start: everything in it is new
	visited  bool
	dirty    bool // visit at the next look
	grown    bool // dirty for nothing but new content of its file
	changed  bool // publish
	missing  bool
	standing bool // stat has found cur at the path
	cur      *File
	old      []*File // oldest first
	latest   *File   // the youngest of all that stood at the path, read or not; nil: none is known
	resumeAt []place // stored places whose files are not found yet
	start    *place  // size of the file at the start, while it cannot be opened
	skip     *fileKey
	stats    Stats
}

// maxOld bounds the renamed files of one path that are read at once.
const maxOld = 128

// coarseClock is the coarsest modification time that a file system keeps. A file changed so recently may change again
// without showing it by time or size.
const coarseClock = 2 * time.Second

// maxRenamed bounds the renamed files of all paths that wait open for late writers; beyond it they end once they are read.
const maxRenamed = 256

// resume takes the position at which reading stopped before a restart.
func (p *path) resume(pos capture.Position) {
	places, err := parsePosition(pos)
	if err != nil {
		p.w.log.Warn("stored position is not understood; the file is read from its start", "path", p.name, "error", err)
		p.fail(err, causeIO)
	}
	p.appeared = true // whatever is found here and was not read is new
	p.resumeAt = places
}

// visit looks at the path and reads what is new, at most roundsPerVisit chunks; more tells that there is more.
func (p *path) visit(now time.Time, sink Sink) (more bool, err error) {
	grown := p.grown && p.grew(now)
	p.grown = false
	if !grown {
		p.check(now)
	}
	for _, f := range slices.Clone(p.old) { // drain removes from p.old
		if more, err := p.drain(f, now, sink); more || err != nil {
			return more, err
		}
	}
	if p.cur == nil {
		return false, nil
	}
	if !p.standing && p.cur.f != nil {
		if st, err := p.cur.f.Stat(); err == nil { // not at its path, or not known to be; its writers may write on
			p.cur.observe(st, now)
		}
	}
	if p.globbed && p.missing && now.Sub(p.cur.grown) >= endGlobbed*p.w.opts.Linger {
		f := p.cur
		p.cur = nil
		return false, p.end(f, sink)
	}
	return p.read(p.cur, now, sink)
}

// grew looks at the current file by its descriptor alone, where nothing but its content has changed since the path was looked at. To look at
// the path may be a question to another process, and the line that waits here may be a ban.
func (p *path) grew(now time.Time) bool {
	if !p.standing || p.cur == nil || p.cur.f == nil || p.cur.src != nil || len(p.old)+len(p.resumeAt) > 0 {
		return false
	}
	st, err := p.cur.f.Stat()
	if err != nil {
		return false
	}
	p.cur.observe(st, now)
	return true
}

// check finds out which file stands at the path.
func (p *path) check(now time.Time) {
	st, err := p.w.stat(p.name)
	if err == nil && !st.Mode().IsRegular() {
		err = errNotRegular
	}
	if p.missing != (err != nil) {
		p.changed = true
	}
	p.missing, p.standing = err != nil, false
	first := !p.visited
	p.visited = true
	switch {
	case err != nil:
		p.fail(err, causeOf(err))
	case p.cur != nil && p.cur.key == keyOf(st):
		p.standing = true
		p.cur.observe(st, now)
	case p.skip != nil && *p.skip == keyOf(st): // looked at before: nothing to follow
	default:
		if first && !p.appeared {
			size := st.Size()
			if p.w.opts.FromStart || p.w.opts.Whole != nil && p.w.opts.Whole(p.name) {
				size = 0
			}
			p.start = &place{id: identity{dev: keyOf(st).dev, ino: keyOf(st).ino}, off: size}
		}
		err = p.appear(now)
		if err != nil {
			p.fail(err, causeOf(err))
		}
	}
	if err == nil || first {
		p.findStored(now, st)
	}
}

// appear opens the file that now stands at the path; the one that stood there before is read to its end first.
func (p *path) appear(now time.Time) error {
	file, err := p.w.open(p.name)
	if err != nil {
		return err
	}
	f, err := p.begin(file, now)
	if err != nil || f == nil {
		file.Close()
		return err
	}
	p.skip = nil
	before := p.latest
	if p.cur != nil {
		before = p.retire(now)
	}
	p.cur, p.changed, p.standing = f, true, true
	if before != nil {
		p.findMissed(before, now)
	}
	p.latest = f
	p.w.files[f.key]++
	p.w.touch(f)
	p.w.watcher.Add(p.name, f.f)
	p.noteStart()
	return nil
}

// begin decides where reading of a file that is new at this path begins; nil: it is not to be read now.
func (p *path) begin(file *os.File, now time.Time) (*File, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errNotRegular
	}
	key, head := keyOf(st), readHead(file)
	if p.globbed && unpack.Detect(head) != unpack.Plain {
		p.skip = &key
		p.fail(nil, causeCompressed)
		return nil, nil
	}
	if p.w.readElsewhere(p, key) {
		return nil, nil // renamed from a path that still reads it; what is left then is ours
	}
	present := p.start != nil && p.start.id.dev == key.dev && p.start.id.ino == key.ino
	off := int64(0)
	if end, ok := p.w.finished.find(key, head, st.Size()); ok {
		off = end
	} else if i := slices.IndexFunc(p.resumeAt, func(s place) bool { return s.id.sameFile(key, head) && s.off <= st.Size() }); i >= 0 {
		off = p.resumeAt[i].off
		p.resumeAt = slices.Delete(p.resumeAt, i, i+1)
	} else if present && p.start.off <= st.Size() {
		off = p.start.off
	}
	p.start = nil
	f, err := p.newFile(file, off, now)
	if errors.Is(err, errReplaced) { // truncated this very moment
		f, err = p.newFile(file, 0, now)
	}
	if err != nil {
		return nil, err
	}
	f.present = present
	return f, nil
}

// readElsewhere tells whether another path reads the file because it was renamed. A file with two names is read twice:
// each name may belong to another jail.
func (w *Follower) readElsewhere(p *path, key fileKey) bool {
	if w.files[key] == 0 {
		return false
	}
	for _, q := range w.order {
		if q == p {
			continue
		}
		if slices.ContainsFunc(q.old, func(f *File) bool { return f.key == key }) {
			return true
		}
		if q.cur != nil && q.cur.key == key {
			st, err := w.stat(q.name)
			return err != nil || keyOf(st) != key
		}
	}
	return false
}

// retire makes the current file an old one, which it returns unless it cannot be found any more.
func (p *path) retire(now time.Time) *File {
	f := p.cur
	p.stats.Rotations++
	f.grown, f.read = now, false
	if f.elem != nil {
		p.w.recent.Remove(f.elem)
		f.elem = nil
	}
	p.cur = nil
	if f.f == nil {
		p.w.dropFile(f)
		if again := p.locate(place{id: f.identity(), off: f.off}, f.mark, now); again != nil {
			again.State, again.committed, again.at = f.State, f.committed, f.at
			f = again
		} else {
			p.lost(f.identity(), f.off)
			return nil
		}
	}
	p.addOld(f)
	return f
}

func (p *path) addOld(f *File) {
	p.old = append(p.old, f)
	p.w.renamed++
	p.changed = true
}

// drain reads on in a file that does not stand at the path any more, and ends it when its time has come.
func (p *path) drain(f *File, now time.Time, sink Sink) (more bool, err error) {
	if f.src == nil {
		if st, err := f.f.Stat(); err == nil {
			f.observe(st, now)
		}
	}
	if more, err := p.read(f, now, sink); more || err != nil {
		return more, err
	}
	idle := p.cur != nil && now.Sub(f.grown) >= p.w.opts.Linger
	if f.closed || idle || len(p.old) > maxOld || p.w.renamed > maxRenamed {
		return false, p.endOld(f, sink)
	}
	return false, nil
}

func (p *path) endOld(f *File, sink Sink) error {
	p.old = slices.DeleteFunc(p.old, func(g *File) bool { return g == f })
	p.w.renamed--
	return p.end(f, sink)
}

func (p *path) end(f *File, sink Sink) error {
	f.at = f.off
	p.w.finished.add(place{id: f.identity(), off: f.off})
	f.close()
	p.w.dropFile(f)
	p.changed = true
	return sink.End(f)
}

// read hands over what is new in f.
func (p *path) read(f *File, now time.Time, sink Sink) (more bool, err error) {
	if f.read && !p.dirty {
		return false, nil
	}
	if f.f == nil {
		if err := p.reopen(f); err != nil {
			if errors.Is(err, errReplaced) {
				return true, p.rewritten(f, now, sink)
			}
			p.fail(err, causeOf(err))
			return false, nil
		}
	}
	if f == p.cur {
		p.w.touch(f)
	}
	for range roundsPerVisit {
		data, err := f.next(p.w.buf)
		if f.shrunk {
			err = errReplaced
		}
		switch {
		case errors.Is(err, errReplaced):
			return true, p.rewritten(f, now, sink)
		case err != nil && f.src != nil:
			p.w.log.Warn("compressed file is broken; its rest is lost", "path", p.name, "error", err)
			p.lost(f.identity(), f.off)
			p.fail(err, causeIO)
			if f != p.cur { // it will not mend
				return true, p.endOld(f, sink)
			}
			return false, nil
		case err != nil:
			p.fail(err, causeIO)
			f.close() // a stale handle is cured by another
			return false, nil
		case len(data) == 0:
			f.read = now.Sub(f.mtime) > coarseClock
			return false, nil
		}
		f.at = f.off
		f.advance(data)
		f.size = max(f.size, f.off)
		p.stats.Bytes += uint64(len(data))
		p.changed = true
		if err := sink.Data(f, data); err != nil {
			return false, err
		}
		p.publish()
	}
	return true, nil
}

// reopen opens the current file again after it was closed for others.
func (p *path) reopen(f *File) error {
	file, err := p.w.open(p.name)
	if err != nil {
		return err
	}
	st, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	if keyOf(st) != f.key {
		file.Close()
		return errReplaced
	}
	f.f = file
	p.w.watcher.Add(p.name, file)
	p.changed = true
	return nil
}

// rewritten begins anew in a file that was truncated. What was written to it between the last read and that moment may
// stand in a copy beside it.
func (p *path) rewritten(f *File, now time.Time, sink Sink) error {
	if f != p.cur { // a renamed file: nobody begins it anew
		return p.endOld(f, sink)
	}
	p.stats.Truncations++
	f.close()
	p.w.dropFile(f)
	p.cur, p.changed = nil, true
	rest := p.locate(place{id: f.identity(), off: f.off}, f.mark, now)
	if rest == nil {
		f.at = f.off
		return sink.End(f)
	}
	rest.State, rest.committed, rest.at = f.State, f.committed, f.at
	rest.closed = rest.key != f.key // a copy
	p.addOld(rest)
	p.findMissed(rest, now)
	return nil
}
