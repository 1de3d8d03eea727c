package follow

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"pfwarden/capture/internal/unpack"
)

// maxCandidates bounds how many files beside a path are opened in search of one that was renamed.
const maxCandidates = 64

// sibling is a file beside a path that may have stood there before.
type sibling struct {
	name     string // whole path
	key      fileKey
	size     int64
	modified time.Time
}

// siblings lists the files beside the path whose names begin as its own does (without extension: app.log becomes
// app.log.0, app.log-20260131, app.1.log or app-2026.log.gz), the last modified first.
func (p *path) siblings() []sibling {
	names := []string{p.name}
	if target, err := filepath.EvalSymlinks(p.name); err == nil && target != p.name {
		names = append(names, target)
	}
	var out []sibling
	for _, name := range names {
		base := filepath.Base(name)
		stem := strings.TrimSuffix(base, filepath.Ext(base))
		if stem == "" {
			stem = base
		}
		for _, s := range p.w.list(filepath.Dir(name)) {
			other := filepath.Base(s.name)
			if other != base && strings.HasPrefix(other, stem) {
				out = append(out, s)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b sibling) int { return b.modified.Compare(a.modified) })
	return out
}

// list reads a directory once a look.
func (w *Follower) list(dir string) []sibling {
	if known, ok := w.dirs[dir]; ok {
		return known
	}
	var out []sibling
	entries, err := w.readDir(dir)
	if err != nil {
		w.warnOnce("folder of a log cannot be listed: what was rotated away in it is not found", "folder", dir, "error", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if st, err := e.Info(); err == nil {
			out = append(out, sibling{filepath.Join(dir, e.Name()), keyOf(st), st.Size(), st.ModTime()})
		}
	}
	if w.dirs == nil {
		w.dirs = map[string][]sibling{}
	}
	w.dirs[dir] = out
	return out
}

// locate finds the file that at names under its present name: by device and inode, else (a copy, a compressed file) by its
// first bytes and by mark, the bytes before the offset, if they are known. It is opened at the offset; nil if there is none.
func (p *path) locate(at place, mark []byte, now time.Time) *File {
	candidates := p.siblings()
	for range 20 {
		if f := p.locateIn(candidates, at, mark, now); f != nil {
			return f
		}
		p.w.dirs = nil
		again := p.siblings()
		if sameFiles(candidates, again) {
			return nil
		}
		candidates = again // files were renamed meanwhile
	}
	return nil
}

// sameFiles tells whether two listings, in any order, name the same files.
func sameFiles(a, b []sibling) bool {
	names := make(map[string]fileKey, len(a))
	for _, s := range a {
		names[s.name] = s.key
	}
	return len(a) == len(b) && !slices.ContainsFunc(b, func(s sibling) bool { return names[s.name] != s.key })
}

func (p *path) locateIn(candidates []sibling, at place, mark []byte, now time.Time) *File {
	for _, s := range candidates {
		if s.key.ino == at.id.ino && (s.size >= at.off || looksPacked(s.name)) {
			if f := p.try(s, at, mark, now); f != nil {
				return f
			}
		}
	}
	if at.id.headLen < sureHead {
		return nil
	}
	tried := 0
	for _, packed := range []bool{false, true} {
		for _, s := range candidates {
			if looksPacked(s.name) != packed || !packed && s.size < at.off || s.key.ino == at.id.ino {
				continue
			}
			if tried++; tried > maxCandidates {
				return nil
			}
			if f := p.try(s, at, mark, now); f != nil {
				f.closed = true
				return f
			}
		}
	}
	return nil
}

// reborn finds the file that at names after it was truncated and then renamed, or another that got its inode and was
// renamed: either way all that it holds was written since.
func (p *path) reborn(at place, now time.Time) *File {
	for _, s := range p.siblings() {
		if _, rotated := rotationOf(p.name, s.name); !rotated || s.key != (fileKey{at.id.dev, at.id.ino}) || looksPacked(s.name) {
			continue
		}
		file, err := p.w.open(s.name)
		if err != nil {
			return nil
		}
		f, err := p.newFile(file, 0, now)
		if err != nil {
			file.Close()
			return nil
		}
		if f.key != s.key {
			f.close()
			return nil
		}
		p.stats.Truncations++
		p.w.files[f.key]++
		return f
	}
	return nil
}

// try opens a sibling and checks that it is the file at names; nil if not, and if its name has gone to another file since it was listed (a place
// that was noted while its file was empty has no first bytes to tell that by).
func (p *path) try(s sibling, at place, mark []byte, now time.Time) *File {
	file, err := p.w.open(s.name)
	if err != nil {
		return nil
	}
	f, err := p.openOld(file, at.off, now)
	if err == nil && f.key == s.key && at.id.sameHead(f.head) && (f.src != nil || len(mark) == 0 || bytes.Equal(mark, f.mark)) {
		if f.key != (fileKey{at.id.dev, at.id.ino}) {
			f.known = &at.id // a copy goes by the name of what it was made of; the file itself has grown, perhaps from nothing
		}
		p.w.files[f.key]++
		return f
	}
	if err == nil {
		f.close()
	} else {
		file.Close()
	}
	return nil
}

func (p *path) openOld(file *os.File, off int64, now time.Time) (*File, error) {
	if unpack.Detect(readHead(file)) != unpack.Plain {
		return p.newPacked(file, off, now)
	}
	return p.newFile(file, off, now)
}

// findStored opens the files of the stored position that do not stand at the path any more. st is the file that does.
func (p *path) findStored(now time.Time, st os.FileInfo) {
	if len(p.resumeAt) == 0 {
		return
	}
	waiting := p.resumeAt[:0:0]
	var newest *File
	for _, at := range p.resumeAt {
		if p.cur == nil && st != nil && keyOf(st).ino == at.id.ino {
			waiting = append(waiting, at) // not readable just now
			continue
		}
		f := p.locate(at, nil, now)
		if f == nil {
			f = p.reborn(at, now)
		}
		if p.cur != nil && p.cur.key.ino == at.id.ino {
			p.stats.Truncations++
		} else {
			p.stats.Rotations++
		}
		if f == nil {
			p.lost(at.id, at.off)
			continue
		}
		if at.newest {
			newest = f
			continue
		}
		p.addOld(f)
	}
	p.resumeAt = waiting
	if newest != nil { // what followed an older one was read, even if it is not in the position any more
		p.addOld(newest)
		p.latest = newest
		p.findMissed(newest, now)
	}
}

// findMissed finds the files that stood at the path after f and were renamed before they were seen: those that the
// rotation's numbers or dates place after f. Files may be renamed on while it looks; it looks again until they stand still.
func (p *path) findMissed(f *File, now time.Time) {
	for range 20 {
		own, all, ok := p.placeOf(f)
		if ok && own.number == 0 {
			return // nothing can be younger
		}
		p.w.dirs = nil
		again, list, okAgain := p.placeOf(f)
		if okAgain != ok || again != own || !sameFiles(all, list) {
			p.w.dirs = nil
			continue
		}
		if !ok || p.addMissed(own, list, now) {
			return
		}
		p.w.dirs = nil
	}
	p.lost(f.identity(), f.off)
}

// placeOf finds a file's rotated name.
func (p *path) placeOf(f *File) (own rotation, all []sibling, ok bool) {
	all = p.siblings()
	slices.SortFunc(all, func(a, b sibling) int { return strings.Compare(a.name, b.name) })
	if i := slices.IndexFunc(all, func(s sibling) bool { return s.key == f.key }); i >= 0 {
		own, ok = rotationOf(p.name, all[i].name)
	}
	return own, all, ok
}

// addMissed adds the files that are younger than own; it reports false if one of them was renamed meanwhile.
func (p *path) addMissed(own rotation, all []sibling, now time.Time) bool {
	type missed struct {
		sibling
		rotation
	}
	var found []missed
	for _, s := range all {
		r, ok := rotationOf(p.name, s.name)
		if ok && r.after(own) && p.w.files[s.key] == 0 && (p.cur == nil || p.cur.key != s.key) {
			found = append(found, missed{s, r})
		}
	}
	slices.SortStableFunc(found, func(a, b missed) int {
		switch {
		case a.after(b.rotation):
			return 1
		case b.after(a.rotation):
			return -1
		}
		return strings.Compare(a.name, b.name) // the uncompressed one first
	})
	present := p.presentHead()
	for i, s := range found {
		if i > 0 && !s.after(found[i-1].rotation) {
			continue
		}
		if len(p.old) >= maxOld {
			p.stats.Lost++
			p.fail(nil, causeFiles)
			continue
		}
		file, err := p.w.open(s.name)
		if err != nil {
			return false
		}
		old, err := p.openOld(file, 0, now)
		if err != nil {
			file.Close()
			p.fail(err, causeIO)
			continue
		}
		if old.key != s.key {
			old.close()
			return false
		}
		if len(old.head) >= sureHead && bytes.HasPrefix(present, old.head) {
			old.close() // a copy of what stands at the path now, which is about to be truncated
			continue
		}
		if end, ok := p.w.finished.find(old.key, old.head, old.size); ok && end == old.size {
			old.close()
			continue
		}
		p.w.files[old.key]++
		p.stats.Rotations++
		p.addOld(old)
		p.latest = old
	}
	return true
}

// presentHead gives the first bytes of the file that stands at the path.
func (p *path) presentHead() []byte {
	if p.cur != nil {
		return p.cur.head
	}
	file, err := p.w.open(p.name)
	if err != nil {
		return nil
	}
	defer file.Close()
	return readHead(file)
}

// rotation says what a rotated file's name tells of its age.
type rotation struct {
	number int    // newsyslog's and logrotate's path.N: the higher the older; -1 if the name has a date
	date   string // logrotate's dateext and its like: digits, the higher the younger
}

func (r rotation) after(o rotation) bool {
	if r.number >= 0 && o.number >= 0 {
		return r.number < o.number
	}
	return r.number < 0 && o.number < 0 && r.date > o.date
}

var packedSuffixes = []string{".gz", ".zst", ".bz2", ".xz"}

func looksPacked(name string) bool {
	return slices.Contains(packedSuffixes, filepath.Ext(name))
}

// rotationOf reads the name of a file that may once have stood at path.
func rotationOf(path, name string) (rotation, bool) {
	base, other := filepath.Base(path), filepath.Base(name)
	if looksPacked(other) {
		other = strings.TrimSuffix(other, filepath.Ext(other))
	}
	rest, ok := strings.CutPrefix(other, base)
	if !ok || len(rest) < 2 || rest[0] != '.' && rest[0] != '-' && rest[0] != '_' {
		return rotation{}, false
	}
	rest = rest[1:]
	if n, err := strconv.Atoi(rest); err == nil && len(rest) <= 4 {
		return rotation{number: n}, true
	}
	digits := 0
	for _, c := range rest {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case !strings.ContainsRune("-_.:TZ", c):
			return rotation{}, false
		}
	}
	return rotation{number: -1, date: rest}, digits >= 6
}
