package pflog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"pfwarden/capture"
)

// ErrIdle is what a Handle's Read returns when no record arrived within its time-out.
var ErrIdle = errors.New("no record yet")

// Handle is an opened capture on an interface. Its methods are called from one goroutine.
type Handle interface {
	// Read returns the next record, which is valid until the next call. It returns ErrIdle at the latest after about a quarter of
	// a second without one; any other error means that the capture is over, as when the interface was destroyed.
	Read() (Record, error)
	// Statistics returns what the kernel counted since the handle was opened.
	Statistics() (Statistics, error)
	// LinkType returns LinkPflog or LinkOldPflog.
	LinkType() uint32
	Close() error
}

// Record is a record as it was captured.
type Record struct {
	Time time.Time
	Wire uint32 // bytes that it had before it was cut to the snaplen
	Data []byte
}

// Statistics are the kernel's counts of a capture.
type Statistics struct {
	Received uint64 // records that came to the capture
	Dropped  uint64 // records lost because nobody read them in time
}

// Opener opens the capture. The default opens Interface by its name; another may hand in a descriptor that a privileged process
// opened, see SetBPF and AttachBPF.
type Opener func(ctx context.Context, options LiveOptions) (Handle, error)

// LiveOptions say what to capture and how.
type LiveOptions struct {
	Interface string        // such as "pflog0"
	Filter    string        // in libpcap's language; needs libpcap
	Snaplen   int           // bytes of each record; 0 is 256
	Open      Opener        // nil is OpenInterface
	OnReject  func(Cause)   // called for each record that cannot be decoded; may be nil
	OnAlarm   func(error)   // called when the capture ends unexpectedly and for each failed attempt to reopen it, with nil once it is open again; may be nil
	Backoff   time.Duration // wait before the first attempt to reopen, doubled up to 30 s; 0 is 100 ms
	// Wait waits for d or until the context ends, whose error it then returns; nil is by the system's clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// maxBackoff is the longest wait between attempts to reopen an interface.
const maxBackoff = 30 * time.Second

// statisticsEvery is after how many records the kernel's counts are read while records keep coming; when none come, at each
// time-out of the handle.
const statisticsEvery = 1024

// Live captures from an interface while Run runs, even if the interface is destroyed and created again meanwhile.
type Live struct {
	options LiveOptions
	handle  Handle
	decoder Decoder
	frame   uint64

	mu     sync.Mutex
	closed Statistics // of the handles before this one
	counts Statistics // of all
	alarms uint64
}

// NewLive opens the capture; it fails if the interface cannot be opened now.
func NewLive(ctx context.Context, options LiveOptions) (*Live, error) {
	if options.Snaplen == 0 {
		options.Snaplen = 256
	}
	if options.Open == nil {
		options.Open = OpenInterface
	}
	if options.Backoff <= 0 {
		options.Backoff = 100 * time.Millisecond
	}
	if options.Wait == nil {
		options.Wait = wait
	}
	l := &Live{options: options}
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Live) open(ctx context.Context) error {
	h, err := l.options.Open(ctx, l.options)
	if err != nil {
		return fmt.Errorf("%s: %w", l.options.Interface, err)
	}
	if link := h.LinkType(); link != LinkPflog && link != LinkOldPflog {
		return errors.Join(fmt.Errorf("%s: %w: link type %d, want %d (pflog)", l.options.Interface, ErrFormat, link, LinkPflog), h.Close())
	}
	l.handle = h
	l.decoder.Old = h.LinkType() == LinkOldPflog
	l.decoder.BigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1
	return nil
}

// Run captures until the context ends and returns its error then. The packet given to emit is valid during the call only; an
// error of emit ends Run and is returned. Run may be called once.
func (l *Live) Run(ctx context.Context, emit func(*capture.Packet) error) error {
	defer l.close()
	for {
		emitted, err := l.capture(ctx, emit)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if emitted {
			return err
		}
		l.close()
		if err := l.reopen(ctx, fmt.Errorf("%s: capture broke off: %w", l.options.Interface, err)); err != nil {
			return err
		}
	}
}

// capture reads from the open handle until the context ends or something fails; emitted says that it was emit that failed.
func (l *Live) capture(ctx context.Context, emit func(*capture.Packet) error) (emitted bool, err error) {
	p := capture.Packet{Origin: l.options.Interface}
	for ctx.Err() == nil {
		record, err := l.handle.Read()
		if errors.Is(err, ErrIdle) {
			l.count()
			continue
		}
		if err != nil {
			return false, err
		}
		l.frame++
		if l.frame%statisticsEvery == 0 {
			l.count()
		}
		if cause := l.decoder.Decode(&p, record.Data, record.Wire); cause != Accepted {
			if l.options.OnReject != nil {
				l.options.OnReject(cause)
			}
			continue
		}
		p.Time, p.Frame = record.Time, l.frame
		if err := emit(&p); err != nil {
			return true, err
		}
	}
	return false, ctx.Err()
}

// reopen tries to open the interface again until it succeeds.
func (l *Live) reopen(ctx context.Context, cause error) error {
	for pause := l.options.Backoff; ; pause = min(2*pause, maxBackoff) {
		l.alarm(cause)
		if err := l.options.Wait(ctx, pause); err != nil {
			return err
		}
		if cause = l.open(ctx); cause == nil {
			l.alarm(nil)
			return nil
		}
	}
}

func (l *Live) alarm(err error) {
	if err != nil {
		l.mu.Lock()
		l.alarms++
		l.mu.Unlock()
	}
	if l.options.OnAlarm != nil {
		l.options.OnAlarm(err)
	}
}

// count takes over the handle's statistics.
func (l *Live) count() {
	s, err := l.handle.Statistics()
	if err != nil {
		return // the next read says what is wrong
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts = Statistics{l.closed.Received + s.Received, l.closed.Dropped + s.Dropped}
}

// close closes the handle and keeps what it counted.
func (l *Live) close() {
	if l.handle == nil {
		return
	}
	l.count()
	l.mu.Lock()
	l.closed = l.counts
	l.mu.Unlock()
	_ = l.handle.Close() // nothing is lost with it
	l.handle = nil
}

// Close closes a capture on which Run was never called; Run closes it by itself.
func (l *Live) Close() { l.close() }

// Statistics returns the kernel's counts over all times that the interface was opened, at most a quarter of a second or
// statisticsEvery records old. It may be called while Run runs.
func (l *Live) Statistics() Statistics {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Alarms returns how often the capture ended unexpectedly or could not be reopened.
func (l *Live) Alarms() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alarms
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
