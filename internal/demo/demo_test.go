package demo

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// lines collects a log that several goroutines write, and stops the demonstration once every wanted ban was in it.
type lines struct {
	mu   sync.Mutex
	all  bytes.Buffer
	want []string
	stop func()
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = slices.DeleteFunc(l.want, func(w string) bool { return bytes.Contains(p, []byte("msg=banned address="+w)) })
	if len(l.want) == 0 {
		l.stop()
	}
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// TestNight plays an hour and a half of the night: who scans and who guesses is banned, each in his table.
func TestNight(t *testing.T) {
	if testing.Short() {
		t.Skip("plays for some seconds")
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	log := &lines{want: []string{"198.51.100.23 table=suspects jail=portscan", "198.51.100.66 table=banned jail=sshd"}, stop: stop}
	if err := Run(ctx, Options{Speed: 600, Days: 1, from: 2 * time.Hour, Out: io.Discard, Log: slog.New(slog.NewTextHandler(log, nil))}); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); len(log.want) > 0 {
		t.Errorf("nobody was banned as %q:\n%s", log.want, text)
	}
}

func TestSpeedIsChecked(t *testing.T) {
	for _, speed := range []float64{0, 0.5, 10001} {
		if err := Run(t.Context(), Options{Speed: speed, Out: io.Discard}); err == nil {
			t.Errorf("speed %v was accepted", speed)
		}
	}
}

// TestStops ends the demonstration as Ctrl-C does.
func TestStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Speed: 144, Out: io.Discard, Log: slog.New(slog.DiscardHandler)})
	}()
	stop()
	select {
	case err := <-ended:
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("it goes on")
	}
}

func TestRedate(t *testing.T) {
	day := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	for name, row := range map[string][2]string{
		"syslog":     {"Oct 14 03:05:12 gw sshd[1]: x", "Nov  2 03:05:12 gw sshd[1]: x"},
		"error log":  {"[Wed Oct 14 15:15:35.231487 2026] [core:error] x", "[Mon Nov 02 15:15:35.231487 2026] [core:error] x"},
		"access log": {`198.51.100.7 - - [14/Oct/2026:01:02:03 +0000] "GET / HTTP/1.1" 200 1`, `198.51.100.7 - - [02/Nov/2026:01:02:03 +0000] "GET / HTTP/1.1" 200 1`},
		"no time":    {"continued", "continued"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(redate([]byte(row[0]), day)); got != row[1] {
				t.Errorf("got  %s\nwant %s", got, row[1])
			}
		})
	}
}
