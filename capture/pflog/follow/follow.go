// Package follow reads the file that pflogd(8) writes while it grows. An incomplete last record waits for its rest; a file that
// newsyslog(8) renames is read to its end before the next one is; positions survive a restart. What following a path
// means in general stands in capture/internal/follow.
package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"pfwarden/capture"
	files "pfwarden/capture/internal/follow"
	"pfwarden/capture/pflog"
)

// Options say what to follow. The zero value of each field except Path is a default.
type Options struct {
	Path     string           // /var/log/pflog, say
	Position capture.Position // where reading stopped before; zero: nowhere
	FromEnd  bool             // without a position, the records that the file holds at the start are passed over
	Once     bool             // Run returns when all that there is now was read: to fill the gap before an interface is read
	Decode   pflog.Options    // its OnReject is called from within Run
	Flush    func() error     // called whenever all records that were read at once were emitted; may be nil
	Linger   time.Duration    // how long a renamed file must be idle until it is given up; 5 s
	Poll     time.Duration    // the file is looked at this often, woken by the system or not; 1 s

	Open  func(path string) (*os.File, error) // nil: the file system
	Files *capture.Files                      // nil: the file system; else in place of Open
	Log   *slog.Logger                        // nil: silent

	Now     func() time.Time // nil: time.Now; never a record's time
	Tick    <-chan time.Time // nil: a ticker of Poll
	Watcher files.Watcher    // nil: the system's own
}

// Stats of the path.
type Stats struct {
	files.Stats                      // Path, Present, Open, Behind, Bytes, Rotations, Truncations, Lost, Errors by cause
	Packets     uint64               // emitted
	Passed      uint64               // records passed over by FromEnd
	Rejects     [pflog.Causes]uint64 // records, by cause
	Unreadable  uint64               // files that are no pflog capture, or are damaged: their rest was given up
	Broken      bool                 // the rest of the file that is there now was given up
}

// Follower follows one pflog file. Make one with New.
type Follower struct {
	opts  Options
	files *files.Follower
	emit  func(*capture.Packet) error
	log   *slog.Logger
	last  *pflog.FileHeader // of the file read last
	cur   *files.File       // during emit
	pkt   capture.Packet
	frame uint64

	mu    sync.Mutex // guards stats, which Run changes
	stats Stats
}

// New checks the options. Nothing is opened before Run.
func New(opts Options) (*Follower, error) {
	if opts.Path == "" {
		return nil, errors.New("follow pflog: no path given")
	}
	w := &Follower{opts: opts, log: opts.Log}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	fo := files.Options{
		Files: opts.Files, Patterns: []string{opts.Path}, FromStart: true, Once: opts.Once, Linger: opts.Linger, Poll: opts.Poll,
		Open: opts.Open, Now: opts.Now, Tick: opts.Tick, Watcher: opts.Watcher, Log: opts.Log,
	}
	if opts.Position != (capture.Position{}) {
		fo.Positions = []capture.Position{opts.Position}
		fo.Positions[0].Path = opts.Path
	}
	var err error
	if w.files, err = files.New(fo); err != nil {
		return nil, fmt.Errorf("follow pflog: %w", err)
	}
	return w, nil
}

// Run emits every record that can be decoded until ctx is done, which is no error, or emit fails. The packet is valid during
// the call only: copy it to keep it. Its Frame counts what this Follower has read; its Offset is that within its file.
// Blocking in emit holds the reading back.
func (w *Follower) Run(ctx context.Context, emit func(*capture.Packet) error) error {
	w.emit = emit
	if err := w.files.Run(ctx, (*sink)(w)); err != nil {
		return fmt.Errorf("follow %s: %w", w.opts.Path, err)
	}
	return nil
}

// Next gives the position after the packet that is being emitted. It may be called from within emit only.
func (w *Follower) Next() capture.Position { return w.cur.Position(w.pkt.Offset) }

// Looked tells whether the file was looked for: what is written from then on is read.
func (w *Follower) Looked() bool { return w.files.Looked() }

// Position says where reading would go on after a restart: after all packets for which emit returned. It is zero before
// anything was read, unless one was given.
func (w *Follower) Position() capture.Position {
	for _, p := range w.files.Positions() {
		return p
	}
	return capture.Position{}
}

// Stats gives the state of the path.
func (w *Follower) Stats() Stats {
	w.mu.Lock()
	out := w.stats
	w.mu.Unlock()
	out.Stats = files.Stats{Path: w.opts.Path}
	for _, s := range w.files.Stats() {
		out.Stats = s
	}
	return out
}
