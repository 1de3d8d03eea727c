package privsep

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Environment variables by which a worker is told what it is.
const envWorker = "PFWARDEN_WORKER"

// Numbers of the descriptors that a worker inherits. Those of the listeners, and of the journal, may be closed.
const (
	fdSocket = 3 + iota
	fdControl
	fdMetrics
	fdJournal
)

// Role is what a worker is told when it is started.
type Role struct {
	UID      int    `json:"uid"`
	GID      int    `json:"gid"`
	Chroot   string `json:"chroot"`   // "" = none
	Restarts int    `json:"restarts"` // workers before it that ended by themselves
	Last     string `json:"last"`     // how the one before it ended
	Relay    bool   `json:"relay"`    // its standard error is written to syslog(3) by the privileged process
	Control  bool   `json:"control"`  // these descriptors were handed over
	Metrics  bool   `json:"metrics"`
	Journal  bool   `json:"journal"`
	Succeeds string `json:"succeeds"` // ID of the Succession by which it follows another worker; "" = it does not

	Stale []string `json:"-"` // set by Drop: files of the system of which the disk had no room for a copy
}

// ParentOptions make a Parent.
type ParentOptions struct {
	Guard *Guard
	Role  Role
	Args  []string // of the worker's command line
	Env   []string // of the worker, beyond what Role needs

	// Hooks gives the command line of the process that runs commands; ok is false if there are none to run. nil = never.
	Hooks    func() (args []string, ok bool)
	HooksEnv []string // its environment

	Control, Metrics *os.File                 // listening sockets, or nil
	Stdin            *os.File                 // of the worker; nil = /dev/null
	Journal          func() (*os.File, error) // for each worker; nil = none
	Stderr           io.Writer                // of the worker; an *os.File is inherited, else lines are copied to it
	Log              *slog.Logger

	// Reload reads the configuration again. It returns an error, which is logged, if the old one stays; the worker is started anew
	// if it does not. keep names actions that stay as they are.
	Reload func() (keep map[string]string, err error)

	Program string                               // this one, which is started again as the worker and others; "" = found out each time
	Backoff time.Duration                        // before a new worker, doubled up to MaxBackoff; 0 = 1 s
	After   func(time.Duration) <-chan time.Time // nil = time.After
	Started func(pid int)                        // told of each worker; nil = nobody
	Idle    func()                               // called now and then to give memory back; may be nil
	Refresh <-chan time.Time                     // when to look anew at what belongs to this machine; nil = once a minute
}

// MaxBackoff is the longest wait before a new worker; steady is how long one must have run for the wait to begin anew.
const (
	MaxBackoff = time.Minute
	steady     = 5 * time.Minute
	stopTime   = 90 * time.Second // that a worker has to stop in
	lingering  = time.Second      // that its standard error is read on when it has ended
)

// ExitError is how a worker ended that never got to work: there is no use in starting another.
type ExitError struct{ Code int }

// Error says so.
func (e *ExitError) Error() string {
	return "the worker could not start: exit status " + strconv.Itoa(e.Code)
}

// Parent keeps a worker running.
type Parent struct {
	o     ParentOptions
	hooks *companion // of the worker that runs; nil = none
}

// NewParent makes one; Run starts the worker.
func NewParent(o ParentOptions) *Parent {
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.After == nil {
		o.After = time.After
	}
	closeAtExec(fdSocket) // what we inherited ourselves is nobody's business
	return &Parent{o: o}
}

// ended is how a worker ended.
type ended struct {
	err   error // of starting it, or of waiting for it
	guard error // of serving it
	ran   time.Duration
}

// fate is why a worker ended.
type fate int

const (
	died     fate = iota // by itself
	stopped              // it was told to, since we end
	replaced             // it was told to, since the configuration has changed
)

// Run keeps a worker running until ctx is done, and tells it to stop then. hup asks for a reload. Only the first worker must be one that can be
// started: where that fails later (no processes or descriptors are left, the program is just being replaced), it is tried again.
func (p *Parent) Run(ctx context.Context, hup <-chan os.Signal) error {
	refresh := p.o.Refresh
	if refresh == nil {
		t := time.NewTicker(time.Minute)
		defer t.Stop()
		refresh = t.C
	}
	wait := p.o.Backoff
	defer func() { p.hooks.stop() }()
	for started := false; ; {
		var why fate
		w, err := p.start()
		end := ended{err: err}
		if err == nil {
			started = true
			p.hooks = p.accompany(w, p.hooks)
			end, why = p.attend(ctx, w, hup, refresh)
			p.hooks.leave()
		}
		switch {
		case why == stopped:
			return exitOf(end.err)
		case why == replaced:
			p.o.Log.Info("configuration taken over; a new worker goes on")
			wait = p.o.Backoff
			continue // with what the old one has left for it
		case !started:
			return err
		case p.never(end):
			return &ExitError{Code: code(end.err)}
		}
		if end.ran >= steady {
			wait = p.o.Backoff
		}
		p.o.Role.Restarts++
		p.o.Role.Succeeds = ""
		p.o.Role.Last = reason(end)
		p.o.Log.Error("the worker ended; pf's tables stay as they are, and a new one is started",
			"cause", p.o.Role.Last, "ran", end.ran, "restarts", p.o.Role.Restarts, "in", wait)
		select {
		case <-p.o.After(wait):
			wait = min(2*wait, MaxBackoff)
		case <-hup: // what was wrong may have been mended: a new one begins at once
			if _, err := p.reload(); err == nil {
				wait = p.o.Backoff
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// attend waits for the end of a worker, and tells it to end when it is time.
func (p *Parent) attend(ctx context.Context, w *worker, hup <-chan os.Signal, refresh <-chan time.Time) (end ended, why fate) {
	var kill <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case end = <-w.ended:
			return end, why
		case <-refresh:
			p.o.Guard.Refresh()
			if p.o.Idle != nil {
				p.o.Idle()
			}
		case <-done:
			done, why, kill = nil, stopped, p.o.After(stopTime)
			p.dismiss(w, Succession{})
		case <-hup:
			if why != died {
				continue
			}
			keep, err := p.reload()
			if err != nil {
				p.tellKept(w, err)
				w.signal(syscall.SIGHUP)
				continue
			}
			why, kill = replaced, p.o.After(stopTime)
			p.succeed(w, keep)
		case <-kill:
			p.o.Log.Error("the worker does not stop; it is killed")
			w.signal(syscall.SIGKILL)
		}
	}
}

// reload reads the configuration again. Where it is taken over, what became of workers under the old one is no fault any more.
func (p *Parent) reload() (keep map[string]string, err error) {
	keep, err = p.o.Reload()
	if err != nil {
		p.o.Log.Error("the configuration was not taken over; the old one stays", "error", err)
		return nil, err
	}
	p.o.Role.Restarts, p.o.Role.Last = 0, ""
	return keep, nil
}

// mostKept bounds what a worker is told of a reload that was refused, in bytes.
const mostKept = 2000

// tellKept tells a worker why the configuration was not taken over, for its health page.
func (p *Parent) tellKept(w *worker, why error) {
	text := strings.ReplaceAll(strings.TrimSpace(why.Error()), "\n", "; ")
	if len(text) > mostKept {
		text = strings.ToValidUTF8(text[:mostKept], "") + " …"
	}
	if err := w.wire.send(frame{kind: replyKept, payload: []byte(text)}); err != nil && !gone(err) {
		p.o.Log.Warn("the worker was not told why the configuration was refused", "error", err)
	}
}

// succeed stops a worker that another will take the place of.
func (p *Parent) succeed(w *worker, keep map[string]string) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	p.o.Role.Succeeds = hex.EncodeToString(id[:])
	p.dismiss(w, Succession{ID: p.o.Role.Succeeds, Keep: keep})
}

// dismiss stops a worker, once it was told what follows it.
func (p *Parent) dismiss(w *worker, s Succession) {
	payload, err := json.Marshal(s)
	if err == nil && len(payload) <= maxReply {
		err = w.wire.send(frame{kind: replyEnd, payload: payload})
	}
	if err != nil && !gone(err) {
		p.o.Log.Warn("the worker was not told whether it is replaced: its actions are stopped, and started by the next one", "error", err)
	}
	w.signal(syscall.SIGTERM)
}

// never tells whether the first worker ended by itself before it asked for anything.
func (p *Parent) never(e ended) bool {
	return p.o.Role.Restarts == 0 && !p.o.Guard.asked.Load() && code(e.err) > 0
}

func code(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// exitOf is the error of a worker that did not stop in order.
func exitOf(err error) error {
	if c := code(err); c > 0 {
		return &ExitError{Code: c}
	}
	return nil
}

func reason(e ended) string {
	switch {
	case e.guard != nil:
		return e.guard.Error()
	case e.err != nil:
		return e.err.Error()
	}
	return "exit status 0"
}
