package follow

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"pfwarden/capture"
)

// Stats of one path.
type Stats struct {
	Path        string
	Present     bool              // a readable file stands at the path
	Open        bool              // its descriptor is open
	Behind      int64             // bytes that are in the files but not yet dealt with (a partial last record included)
	Bytes       uint64            // handed over
	Rotations   uint64            // another file appeared at the path
	Truncations uint64            // the file became shorter or was rewritten
	Lost        uint64            // renamed files whose rest could not be found, or not be read
	Errors      map[string]uint64 // by cause: missing, permission, not_regular, io, too_many_files, compressed
}

// Errors' causes.
const (
	causeMissing    = "missing"
	causePermission = "permission"
	causeRegular    = "not_regular"
	causeIO         = "io"
	causeFiles      = "too_many_files"
	causeCompressed = "compressed"
)

var errNotRegular = errors.New("not a regular file")

func causeOf(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return causeMissing
	case errors.Is(err, fs.ErrPermission):
		return causePermission
	case errors.Is(err, errNotRegular):
		return causeRegular
	case tooManyFiles(err):
		return causeFiles
	}
	return causeIO
}

// Stats gives the state of every path, sorted by path, as it was after the last read.
func (w *Follower) Stats() []Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Stats, 0, len(w.stats))
	for _, s := range w.stats {
		s.Errors = maps.Clone(s.Errors)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Stats) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// Positions says where reading would go on after a restart: after all that the sink has committed. One a path.
func (w *Follower) Positions() []capture.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Collect(maps.Values(w.places))
	slices.SortFunc(out, func(a, b capture.Position) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// Starts says where reading of each path began: what to store for a path of which no record was dealt with yet.
func (w *Follower) Starts() []capture.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Collect(maps.Values(w.starts))
	slices.SortFunc(out, func(a, b capture.Position) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// dropFile forgets a File in the count of those that there are.
func (w *Follower) dropFile(f *File) {
	if w.files[f.key]--; w.files[f.key] <= 0 {
		delete(w.files, f.key)
	}
}

// warnOnce logs what is wrong with more than one path, and would be found again at every look. Only the reading goroutine calls it.
func (w *Follower) warnOnce(message string, args ...any) {
	if !w.warned[message] {
		w.warned[message] = true
		w.log.Warn(message, args...)
	}
}

// publish makes what the reading goroutine knows of a path visible to the others.
func (p *path) publish() {
	if !p.changed {
		return
	}
	p.changed = false
	s := p.stats
	s.Path, s.Present, s.Open = p.name, p.cur != nil, p.cur != nil && p.cur.f != nil
	for _, f := range append(slices.Clone(p.old), p.cur) {
		if f != nil {
			s.Behind += max(0, f.size-f.committed)
		}
	}
	pos, known := p.position()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	s.Errors = maps.Clone(p.stats.Errors)
	p.w.stats[p.name] = s
	if known {
		p.w.places[p.name] = pos
	}
}
