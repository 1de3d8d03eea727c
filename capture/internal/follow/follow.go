// Package follow makes one path look like one endless stream of bytes, whatever rotation does to the file behind it:
// rename and create, copy and truncate, delete and late appearance, a symbolic link that changes, permission denied for
// a while. No byte is handed over twice and none is left out, also across a restart that hands back the stored Position.
//
// What cannot be seen from outside is lost: bytes that were written and truncated away without a copy between two looks,
// and a file that was rewritten with the very bytes it held before. What is known to be lost is counted.
//
// A file stays open after it was renamed, since its writers write on for a while; it ends when nothing came for
// Options.Linger and another file stands at the path. Until then both are read, the older one first.
package follow

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pfwarden/capture"
)

// Opener opens a file for reading. Another process may do it, which hands over the descriptor.
type Opener func(path string) (*os.File, error)

// Sink takes the bytes. An error from it ends Run, which returns it. It is called from one goroutine; blocking in it
// holds the reading back.
type Sink interface {
	// Data hands over the bytes that follow those handed over before of the same file. They are valid during the call only.
	Data(f *File, data []byte) error
	// End says that no more bytes of f will come.
	End(f *File) error
}

// Options say what to follow. The zero value of each field is a default.
type Options struct {
	Patterns  []string           // paths and globs (path/filepath's), expanded again while running
	Positions []capture.Position // where reading went on when it last stopped
	FromStart bool               // files without a position are read from their beginning, not from their end. Files that appear later always are
	Whole     func(string) bool  // paths of which FromStart holds in any case; nil: none
	Once      bool               // Run returns when all that there is now was read
	Linger    time.Duration      // how long a renamed file must be idle until it ends; 5 s
	Poll      time.Duration      // every path is looked at this often, woken or not; 1 s
	MaxOpen   int                // open descriptors; the least recently active file is closed and opened again when it grows; 256. Renamed files come on top, 256 at most
	MaxPaths  int                // paths followed, globs included; 20,000. More are left out, which is logged once
	Chunk     int                // bytes read at once; 128 KiB

	Files *capture.Files // access to the file system by another process; nil: what follows

	// Access to the file system; nil: this process's own.
	Open    Opener
	Stat    func(path string) (os.FileInfo, error)
	ReadDir func(dir string) ([]os.DirEntry, error)
	Glob    func(pattern string) ([]string, error)

	Now     func() time.Time // nil: time.Now
	Tick    <-chan time.Time // nil: a ticker of Poll
	Watcher Watcher          // nil: the system's own (inotify, kqueue); NoWatcher to poll only. Run closes it
	Log     *slog.Logger     // nil: silent
}

// expandEvery is how many looks pass between two expansions of the globs, unless the watcher saw a new name before.
const expandEvery = 5

// roundsPerVisit bounds what is read of one path before the others get their turn.
const roundsPerVisit = 8

// busyLooks is after how many looks at busy files all the others are looked at, too.
const busyLooks = 16

// Follower follows the files of Options. Make one with New.
type Follower struct {
	opts    Options
	open    Opener
	stat    func(string) (os.FileInfo, error)
	readDir func(string) ([]os.DirEntry, error)
	glob    func(string) ([]string, error)
	now     func() time.Time
	log     *slog.Logger
	warned  map[string]bool // what warnOnce has said
	watcher Watcher

	paths    map[string]*path
	order    []*path // of paths, for a steady order of reading
	stored   map[string]capture.Position
	started  bool // files that appear from now on are read from their beginning
	looks    int
	recent   *list.List      // of *File with an open descriptor that may be closed, the most recently active first
	files    map[fileKey]int // how many Files there are of each
	renamed  int             // Files that do not stand at their path any more
	finished finished
	dirs     map[string][]sibling // directory listings of this look
	buf      []byte

	looked atomic.Bool
	mu     sync.Mutex // guards what follows, which other goroutines may ask for
	stats  map[string]Stats
	places map[string]capture.Position
	starts map[string]capture.Position
}

// New checks the options. Nothing is opened before Run.
func New(opts Options) (*Follower, error) {
	if len(opts.Patterns) == 0 {
		return nil, errors.New("follow: no path given")
	}
	for _, p := range opts.Patterns {
		if _, err := filepath.Match(p, ""); err != nil {
			return nil, fmt.Errorf("follow: pattern %q: %w", p, err)
		}
	}
	opts.Linger = cmp.Or(opts.Linger, 5*time.Second)
	opts.Poll = cmp.Or(opts.Poll, time.Second)
	opts.MaxOpen = cmp.Or(opts.MaxOpen, 256)
	opts.MaxPaths = cmp.Or(opts.MaxPaths, 20000)
	opts.Chunk = cmp.Or(opts.Chunk, 128<<10)
	if min(opts.MaxOpen, opts.MaxPaths, opts.Chunk) < 1 || min(opts.Linger, opts.Poll) < 0 {
		return nil, errors.New("follow: a bound is negative")
	}
	w := &Follower{
		opts: opts, now: opts.Now, log: opts.Log, watcher: opts.Watcher,
		open: opts.Open, stat: opts.Stat, readDir: opts.ReadDir, glob: opts.Glob,
		paths: map[string]*path{}, warned: map[string]bool{}, stored: map[string]capture.Position{}, recent: list.New(), files: map[fileKey]int{},
		buf:   make([]byte, opts.Chunk+markLen),
		stats: map[string]Stats{}, places: map[string]capture.Position{}, starts: map[string]capture.Position{},
	}
	w.setDefaults()
	for _, p := range opts.Positions {
		w.stored[p.Path] = p
		w.places[p.Path] = p // until the path is seen, so that storing positions early forgets nothing
	}
	return w, nil
}

func (w *Follower) setDefaults() {
	if f := w.opts.Files; f != nil {
		w.open, w.stat, w.readDir, w.glob = f.Open, f.Stat, f.ReadDir, f.Glob
	}
	if w.open == nil {
		w.open = openFile
	}
	if w.stat == nil {
		w.stat = os.Stat
	}
	if w.readDir == nil {
		w.readDir = os.ReadDir
	}
	if w.glob == nil {
		w.glob = filepath.Glob
	}
	if w.now == nil {
		w.now = time.Now
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
}

// ownWatcher makes the system's watcher, or that of the process which opens the files.
func (w *Follower) ownWatcher() (Watcher, error) {
	if f := w.opts.Files; f != nil && f.Watch != nil {
		return newHandedWatcher(f.Watch)
	}
	return newWatcher(w.log)
}

// Run follows the files until ctx is done, which is no error, or the sink fails.
func (w *Follower) Run(ctx context.Context, sink Sink) error {
	defer w.closeAll()
	if w.watcher == nil {
		watcher, err := w.ownWatcher()
		if err != nil { // polling remains
			w.log.Info("following by polling only", "error", err)
			watcher = NoWatcher()
		}
		w.watcher = watcher
	}
	defer w.watcher.Close()
	tick := w.opts.Tick
	if tick == nil {
		t := time.NewTicker(w.opts.Poll)
		defer t.Stop()
		tick = t.C
	}
	w.expand()
	busy := 0
	for all := true; ; {
		more, err := w.look(ctx, sink, all)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		all = false
		if more {
			busy++
			all = busy%busyLooks == 0
			w.takeChanges()
			continue
		}
		busy = 0
		if w.opts.Once {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			all = true
		case <-w.watcher.Wake():
			w.takeChanges()
		}
	}
}

// takeChanges marks what the watcher saw.
func (w *Follower) takeChanges() {
	changed, names := w.watcher.Take()
	for _, c := range changed {
		if p := w.paths[c.Path]; p != nil {
			p.grown = c.Data && (p.grown || !p.dirty)
			p.dirty = true
		}
	}
	if names {
		w.expand()
		for _, p := range w.order {
			p.dirty, p.grown = true, false
		}
	}
}

// look visits all paths, or those that are marked, and tells whether one of them has more to read at once.
func (w *Follower) look(ctx context.Context, sink Sink, all bool) (more bool, err error) {
	if all {
		if w.looks++; w.looks%expandEvery == 0 {
			w.expand()
		}
	}
	w.dirs = nil
	now := w.now()
	for _, p := range w.order {
		if !all && !p.dirty {
			continue
		}
		p.grown = p.grown && !all
		p.dirty, err = p.visit(now, sink)
		p.publish()
		if err != nil {
			return false, err
		}
		if ctx.Err() != nil {
			return false, nil
		}
		more = more || p.dirty
	}
	w.started = true
	w.looked.Store(true)
	return more, nil
}

// Looked tells whether every file that was there at the start has been found: what is written from then on is read. It may be asked by any
// goroutine.
func (w *Follower) Looked() bool { return w.looked.Load() }

// expand finds the paths that the patterns stand for and drops those of globs that are gone for good.
func (w *Follower) expand() {
	wanted := map[string]bool{}
	for _, pattern := range w.opts.Patterns {
		names := []string{pattern}
		if isGlob(pattern) {
			names, _ = w.glob(pattern) // New has checked the pattern, the only error there is
		}
		for _, name := range names {
			wanted[name] = true
			w.add(name, isGlob(pattern))
		}
		if p := w.paths[pattern]; p == nil || p.cur == nil {
			w.watcher.Add(pattern, nil)
		}
	}
	if !w.started {
		for name := range w.stored { // of a glob: its file may be missing just now, its renamed rest is not
			for _, pattern := range w.opts.Patterns {
				if ok, _ := filepath.Match(pattern, name); ok && !wanted[name] {
					w.add(name, true)
				}
			}
		}
	}
	w.order = slices.DeleteFunc(w.order, func(p *path) bool {
		gone := p.globbed && !wanted[p.name] && p.idle()
		if gone {
			p.forget()
		}
		return gone
	})
}

func (w *Follower) add(name string, globbed bool) {
	if w.paths[name] != nil {
		return
	}
	if len(w.paths) >= w.opts.MaxPaths {
		w.warnOnce("too many paths are followed: those beyond the limit are left out", "limit", w.opts.MaxPaths, "path", name)
		return
	}
	p := &path{w: w, name: name, globbed: globbed, dirty: true, appeared: w.started}
	if pos, ok := w.stored[name]; ok {
		p.resume(pos)
		delete(w.stored, name)
	}
	w.paths[name] = p
	w.order = append(w.order, p)
}

func isGlob(pattern string) bool {
	for i := range len(pattern) {
		switch pattern[i] {
		case '*', '?', '[':
			return true
		}
	}
	return false
}

func (w *Follower) closeAll() {
	for _, p := range w.order {
		p.publish()
		for _, f := range append(slices.Clone(p.old), p.cur) {
			if f != nil {
				f.close()
			}
		}
	}
}
