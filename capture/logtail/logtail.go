// Package logtail reads text logs: one path looks like one endless source of lines, whatever rotation does to the file
// behind it, and also across a restart. No line is lost and none is read twice. It never parses what a line says.
//
// See capture/internal/follow for what following a path means. A Tailer follows growing files and standard input; a Reader
// reads finished ones, compressed or not.
package logtail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/internal/follow"
)

// DefaultMaxLine is how many bytes of a line are kept unless Options say otherwise.
const DefaultMaxLine = 64 << 10

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Options say what to read. The zero value of each field is a default.
type Options struct {
	Paths     []string           // files and globs, expanded again while running; "-" is standard input
	Positions []capture.Position // where reading stopped before: Line.Next of the last line dealt with, one per path
	FromStart bool               // files without a position are read from their beginning, not from their end. Files that appear later always are
	Whole     func(string) bool  // reports paths that are read from their beginning even without FromStart; nil: none
	MaxLine   int                // bytes of a line that are kept; of a longer one the rest is dropped, and it is marked Cut; DefaultMaxLine
	Linger    time.Duration      // how long a renamed file must be idle before it is closed; 5 s
	Poll      time.Duration      // interval at which every path is checked, besides notifications of the system; 1 s
	MaxOpen   int                // open descriptors; 256. More files are followed by opening them when they grow

	Open  func(path string) (*os.File, error) // nil: the file system
	Files *capture.Files                      // nil: the file system; else in place of Open
	Stdin io.Reader                           // nil: os.Stdin
	Log   *slog.Logger                        // nil: silent

	Now     func() time.Time // nil: time.Now
	Tick    <-chan time.Time // nil: a ticker of Poll
	Watcher follow.Watcher   // nil: the system's own
}

// Stats of one path.
type Stats struct {
	follow.Stats        // Path, Present, Open, Behind, Bytes, Rotations, Truncations, Lost, Errors by cause
	Lines        uint64 // handed over
	Cut          uint64 // of them longer than MaxLine
	NULs         uint64 // NUL bytes dropped at the beginnings of lines: holes that a truncation left
}

// Tailer follows logs. Make one with New; another set of paths needs another Tailer, which takes Positions of this one.
type Tailer struct {
	opts   Options
	files  *follow.Follower // nil if only standard input is read
	stdin  bool
	now    func() time.Time
	emit   func([]capture.Line) error
	counts map[string]*counts // by path; the map belongs to Run, under mu because Stats reads it
	mu     sync.Mutex
}

type counts struct{ lines, cut, nuls, bytes uint64 }

// New checks the options. Nothing is opened before Run.
func New(opts Options) (*Tailer, error) {
	if opts.MaxLine < 0 {
		return nil, fmt.Errorf("logtail: line limit of %d bytes: want a positive number", opts.MaxLine)
	}
	if opts.MaxLine == 0 {
		opts.MaxLine = DefaultMaxLine
	}
	t := &Tailer{opts: opts, now: opts.Now, counts: map[string]*counts{}}
	if t.now == nil {
		t.now = time.Now
	}
	paths := slices.DeleteFunc(slices.Clone(opts.Paths), func(p string) bool { return p == Stdin })
	t.stdin = len(paths) < len(opts.Paths)
	if len(paths) == 0 {
		if !t.stdin {
			return nil, errors.New("logtail: no path given")
		}
		return t, nil
	}
	var err error
	t.files, err = follow.New(follow.Options{
		Files: opts.Files, Patterns: paths, Positions: opts.Positions, FromStart: opts.FromStart, Whole: opts.Whole, Linger: opts.Linger, Poll: opts.Poll,
		MaxOpen: opts.MaxOpen, Open: opts.Open, Now: opts.Now, Tick: opts.Tick, Watcher: opts.Watcher, Log: opts.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("logtail: %w", err)
	}
	return t, nil
}

// Run reads until ctx is done, which is no error, until emit fails, or, if it reads only standard input, until that ends.
// It hands over what one read of one file completed; the slice may be kept, the texts share memory. Blocking in emit holds
// the reading back. emit is never called twice at once.
func (t *Tailer) Run(ctx context.Context, emit func([]capture.Line) error) error {
	var one sync.Mutex
	t.emit = func(lines []capture.Line) error {
		one.Lock()
		defer one.Unlock()
		return emit(lines)
	}
	if t.files == nil {
		return t.readStdin(ctx)
	}
	if !t.stdin {
		return t.files.Run(ctx, (*sink)(t))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var both sync.WaitGroup
	both.Go(func() {
		if err := t.readStdin(ctx); err != nil {
			cancel(err)
		}
	})
	err := t.files.Run(ctx, (*sink)(t))
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		err = cause
	}
	cancel(nil)
	both.Wait()
	return err
}

// Positions says, for every path, where reading would go on after a restart: after all lines for which emit returned.
func (t *Tailer) Positions() []capture.Position {
	if t.files == nil {
		return nil
	}
	return t.files.Positions()
}

// Looked tells whether every file that existed at the start has been found: everything written from then on is read.
func (t *Tailer) Looked() bool { return t.files == nil || t.files.Looked() }

// Starts says where reading of each path began: what to store for a path of which no line was dealt with yet, so that what
// is written to it while nobody reads is not skipped.
func (t *Tailer) Starts() []capture.Position {
	if t.files == nil {
		return nil
	}
	return t.files.Starts()
}

// Stats gives the state of every path, sorted by path; standard input comes first.
func (t *Tailer) Stats() []Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Stats
	if c := t.counts[Stdin]; t.stdin && c != nil {
		out = append(out, Stats{Stats: follow.Stats{Path: Stdin, Present: true, Open: true, Bytes: c.bytes}, Lines: c.lines, Cut: c.cut, NULs: c.nuls})
	}
	if t.files == nil {
		return out
	}
	for _, f := range t.files.Stats() {
		s := Stats{Stats: f}
		if c := t.counts[f.Path]; c != nil {
			s.Lines, s.Cut, s.NULs = c.lines, c.cut, c.nuls
		}
		out = append(out, s)
	}
	return out
}

// deliver completes the lines, counts them and hands them over.
func (t *Tailer) deliver(lines []capture.Line, origin string, pos capture.Position, modified time.Time, s *splitter) error {
	now := t.now()
	t.mu.Lock()
	c := t.counts[origin]
	if c == nil {
		c = &counts{}
		t.counts[origin] = c
	}
	number := c.lines
	c.lines += uint64(len(lines))
	c.nuls += s.nuls
	s.nuls = 0
	for i := range lines {
		line := &lines[i]
		number++
		line.Origin, line.Number, line.Read, line.Modified = origin, number, now, modified
		line.Next.Path, line.Next.Identity = pos.Path, pos.Identity
		if line.Cut {
			c.cut++
		}
	}
	t.mu.Unlock()
	if len(lines) == 0 {
		return nil
	}
	return t.emit(lines)
}

// sink is the Tailer as the follower sees it.
type sink Tailer

func (k *sink) Data(f *follow.File, data []byte) error {
	t := (*Tailer)(k)
	s, ok := f.State.(*splitter)
	if !ok {
		s = &splitter{max: t.opts.MaxLine}
		// A start at the end of a file may be one within a line, which is not to be taken for a line of its own.
		if before := f.Before(); len(before) > 0 && before[len(before)-1] != '\n' {
			s.skipping = true
		}
		f.State = s
	}
	lines := s.split(nil, data, f.Offset())
	return t.pass(f, s, lines)
}

func (k *sink) End(f *follow.File) error {
	s, ok := f.State.(*splitter)
	if !ok {
		return nil
	}
	if line, ok := s.finish(f.Offset()); ok {
		return (*Tailer)(k).pass(f, s, []capture.Line{line})
	}
	return nil
}

func (t *Tailer) pass(f *follow.File, s *splitter, lines []capture.Line) error {
	if len(lines) == 0 {
		return nil
	}
	if err := t.deliver(lines, f.Path(), f.Position(0), f.Modified(), s); err != nil {
		return err
	}
	f.Commit(lines[len(lines)-1].Next.Offset)
	return nil
}
