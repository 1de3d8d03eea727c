package privsep

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// keeper runs a Parent whose workers end at once, and whose waits end when the test says so.
type keeper struct {
	t       *testing.T
	program string
	started chan int           // process ids
	waits   chan time.Duration // that were begun
	wake    chan time.Time
	hup     chan os.Signal
	reloads chan error // what each reload comes to
	parent  *Parent
	ended   chan error
	stop    context.CancelFunc
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{
		t: t, program: filepath.Join(t.TempDir(), "worker"), started: make(chan int, 1), waits: make(chan time.Duration, 1), wake: make(chan time.Time),
		hup: make(chan os.Signal), reloads: make(chan error, 1), ended: make(chan error, 1),
	}
	g, err := NewGuard(GuardOptions{Settings: testSettings(t.TempDir()), Changes: &recorder{}, Reads: &recorder{}})
	testkit.Must(t, err)
	k.parent = NewParent(ParentOptions{
		Guard: g, Role: Role{UID: 1, GID: 1}, Program: k.program, Args: []string{"-c", "exit 0"}, Stderr: io.Discard, Log: g.log,
		Reload:  func() (map[string]string, error) { return nil, <-k.reloads },
		After:   func(d time.Duration) <-chan time.Time { k.waits <- d; return k.wake },
		Started: func(pid int) { k.started <- pid },
	})
	return k
}

// install makes the worker's program. It is a link, since a file that was just written may be busy.
func (k *keeper) install() { testkit.Must(k.t, os.Symlink("/bin/sh", k.program)) }

func (k *keeper) run() {
	ctx, stop := context.WithCancel(k.t.Context())
	k.stop = stop
	go func() { k.ended <- k.parent.Run(ctx, k.hup) }()
}

// waiting takes the next wait, and says what the next worker would be told.
func (k *keeper) waiting(want time.Duration, restarts int) {
	k.t.Helper()
	select {
	case d := <-k.waits:
		if r := k.parent.o.Role.Restarts; d != want || r != restarts {
			k.t.Errorf("a wait of %v after %d ends, want %v after %d", d, r, want, restarts)
		}
	case err := <-k.ended:
		k.t.Fatalf("it has ended: %v", err)
	}
}

// TestBackoff: each wait for a new worker is twice the one before. A reload cuts it short and begins anew, with no fault left to tell of; one that is
// refused cuts it short, too, and changes nothing else.
func TestBackoff(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	k.install()
	k.run()
	defer k.stop()
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		<-k.started
		k.waiting(want*time.Second, i+1)
		k.wake <- time.Time{}
	}
	<-k.started
	k.waiting(MaxBackoff, 9)
	k.reloads <- errors.New("a fault")
	k.hup <- os.Interrupt
	<-k.started
	k.waiting(MaxBackoff, 10)
	k.reloads <- nil
	k.hup <- os.Interrupt
	<-k.started
	k.waiting(time.Second, 1)
	k.stop()
	if err := <-k.ended; err != nil {
		t.Error(err)
	}
}

// TestWorkerCannotBeStarted: that the first worker cannot be started is an error; where a later one cannot, it is tried again.
func TestWorkerCannotBeStarted(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	k.run()
	if err := <-k.ended; !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first could not be started: %v", err)
	}
	k.stop()
	k.install()
	k.run()
	defer k.stop()
	<-k.started
	k.waiting(time.Second, 1)
	testkit.Must(t, os.Remove(k.program)) // as for a moment by make install
	k.wake <- time.Time{}
	k.waiting(2*time.Second, 2)
	k.install()
	k.wake <- time.Time{}
	<-k.started
	k.waiting(4*time.Second, 3)
}
