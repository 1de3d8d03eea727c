package privsep

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWorkerLeavesProcesses: a worker that ends while a process of its own still has its socket, and its standard error, is replaced like any
// other, and what it left ends with it.
func TestWorkerLeavesProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, pids := filepath.Join(dir, "worker"), filepath.Join(dir, "pids")
	script := "#!/bin/sh\nsleep 600 <&3 &\necho $! >>" + pids + "\nexit 3\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	g, err := NewGuard(GuardOptions{Settings: testSettings(dir), Changes: &recorder{}, Reads: &recorder{}})
	if err != nil {
		t.Fatal(err)
	}
	g.asked.Store(true) // else a first worker that ends so is the last
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := make(chan int, 10)
	p := NewParent(ParentOptions{
		Guard: g, Program: program, Stderr: &Lines{W: discard{}}, Log: slog.New(slog.DiscardHandler), Refresh: make(chan time.Time),
		After:   func(time.Duration) <-chan time.Time { c := make(chan time.Time, 1); c <- time.Time{}; return c },
		Started: func(pid int) { started <- pid },
	})
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, nil) }()
	limit := time.After(2 * time.Minute)
	for range 3 {
		select {
		case <-started:
		case <-limit:
			t.Fatal("the worker was not started again")
		}
	}
	cancel()
	select {
	case <-ended:
	case <-limit:
		t.Fatal("the parent does not end")
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		for alive(pid) {
			select {
			case <-limit:
				t.Fatalf("process %d of a worker that ended is still there", pid)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// alive tells whether a process runs: not if it is a zombie that nobody has waited for.
func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, state, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(state, "Z") && syscall.Kill(pid, 0) == nil
}

type discard struct{}

// Write takes everything.
func (discard) Write(b []byte) (int, error) { return len(b), nil }
