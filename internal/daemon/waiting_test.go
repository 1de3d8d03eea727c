package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/internal/config"
	"pfwarden/internal/testkit/home"
)

// held is a resolver that answers when it is told to.
type held chan struct{}

func (h held) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	select {
	case <-h:
		return []netip.Addr{netip.MustParseAddr("203.0.113.7")}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestWaitingSurvives has failures wait for a name while the daemon is stopped, killed, or given another configuration after lines
// that it will not read again. Each counts once: the third makes the ban, and not the second.
func TestWaitingSurvives(t *testing.T) {
	dir := t.TempDir()
	log, file := filepath.Join(dir, "auth.log"), filepath.Join(dir, "pfwarden.toml")
	text := "never_defaults = false\n[pf]\nbackend = \"memory\"\n" + home.Home{Dir: dir}.TOML() + "[portscan]\nenabled = false\n" +
		fmt.Sprintf("[jail.web]\nfailregex = ['^ ?no such user from <HOST>$']\nusedns = \"yes\"\nlogs = [%q]\nmaxretry = 3\n", log)
	for path, text := range map[string]string{log: "", file: text} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(t *testing.T, d *Daemon, again func() *Daemon, next *config.Config) *Daemon{
		"stop": func(t *testing.T, d *Daemon, again func() *Daemon, _ *config.Config) *Daemon {
			d.stopSources()
			d.stopScreen()
			d.finish(d.work)
			return again()
		},
		"crash after a snapshot": func(t *testing.T, d *Daemon, again func() *Daemon, _ *config.Config) *Daemon {
			d.snapshot(d.work, time.Now())
			d.stopSources()
			d.stopScreen()
			return again()
		},
		"reload": func(t *testing.T, d *Daemon, _ func() *Daemon, next *config.Config) *Daemon {
			if err := d.takeConfig(d.work, next); err != nil {
				t.Fatal(err)
			}
			return d
		},
		"refused reload": func(t *testing.T, d *Daemon, _ func() *Daemon, next *config.Config) *Daemon {
			d.config.Observe, next.Observe = true, true // the warden refuses, and it comes last
			if err := d.takeConfig(d.work, next); err == nil {
				t.Fatal("taken over")
			}
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			load := func() *config.Config {
				c, err := config.Load(file, config.Options{})
				if err != nil {
					t.Fatal(err)
				}
				c.Store.File = filepath.Join(t.TempDir(), "db") // of this subtest
				return c
			}
			c := load()
			answers := make(held)
			start := func() *Daemon {
				d := begin(t, Options{Config: c, Resolver: answers})
				t.Cleanup(func() { d.store.Close() })
				return d
			}
			d := start()
			line := func(n int) []capture.Line {
				now := time.Now()
				return []capture.Line{{
					Text:   now.Format("Jan _2 15:04:05") + " no such user from host.example",
					Origin: log, Number: uint64(n), Read: now, Next: capture.Position{Path: log, Offset: int64(n)},
				}}
			}
			d.batch(line(1))
			d.batch(line(2))
			next := load()
			next.Store.File = c.Store.File
			before := d
			d = change(t, d, func() *Daemon {
				if err := before.store.Close(); err != nil {
					t.Fatal(err)
				}
				return start()
			}, next)
			if got := d.positions[log].Offset; got != 2 {
				t.Errorf("the log is read on from %d, want 2", got)
			}
			close(answers)
			take := func(left int) {
				for d.screen.Stats().Waiting > left {
					select {
					case <-d.screen.Ready():
						d.screened()
					case <-time.After(time.Minute):
						t.Fatal("the failures that waited are lost")
					}
				}
			}
			take(0)
			if n := d.bans.Len(); n != 0 {
				t.Errorf("%d bans after two failures", n)
			}
			d.batch(line(3))
			take(0)
			if n := d.bans.Len(); n != 1 {
				t.Errorf("%d bans after three failures, want 1", n)
			}
			d.stopSources()
			d.stopScreen()
		})
	}
}
