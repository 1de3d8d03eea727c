package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/internal/config"
	"pfwarden/internal/testkit/home"
)

// What the sources had handed over before a reload counts after it, be the new configuration taken over or refused.
func TestReloadDrainsFirst(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprint("refused ", refused), func(t *testing.T) {
			dir := t.TempDir()
			log := filepath.Join(dir, "auth.log")
			if err := os.WriteFile(log, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "pfwarden.toml")
			text := "never_defaults = false\n[pf]\nbackend = \"memory\"\n" + home.Home{Dir: dir, Store: ":memory:"}.TOML() +
				fmt.Sprintf("[portscan]\nenabled = false\n[jail.sshd]\nlogs = [%q]\nmaxretry = 3\n", log)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(file, config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			d := begin(t, Options{Config: c})
			defer d.store.Close()
			line := func(n int) []capture.Line {
				now := time.Now()
				return []capture.Line{{
					Text:   fmt.Sprintf("%s host sshd[%d]: Failed password for root from 203.0.113.7 port %d ssh2", now.Format("Jan _2 15:04:05"), n, 40000+n),
					Origin: log, Number: uint64(n), Read: now, Next: capture.Position{Path: log},
				}}
			}
			d.lines <- line(1)
			d.lines <- line(2)
			next, err := config.Load(file, config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if refused { // by the warden, which comes last
				d.config.Observe, next.Observe = true, true
			}
			if err := d.takeConfig(d.work, next); (err != nil) != refused {
				t.Fatalf("taking over the configuration: %v", err)
			}
			if len(d.lines) != 0 {
				t.Error("lines of before wait still")
			}
			// Either way the log is read on.
			if err := os.WriteFile(log, []byte("Nov 22 12:00:00 host sshd[1]: Server listening on 0.0.0.0 port 22.\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			select {
			case <-d.lines:
			case <-time.After(time.Minute):
				t.Error("the log is not read any more")
			}
			d.batch(line(3))
			d.commit(d.work)
			if n := d.bans.Len(); n != 1 {
				t.Errorf("%d bans after the third failure, want 1", n)
			}
			d.stopSources()
			d.stopScreen()
		})
	}
}
