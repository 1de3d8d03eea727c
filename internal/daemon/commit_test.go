package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/config"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/home"
)

// TestCrowded: the engine's goroutine waits for the ledger where too much evidence waits for it, and goes on where it cannot be written: each of
// its turns would be an attempt that takes nothing away.
func TestCrowded(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pfwarden.toml")
	testkit.Must(t, os.WriteFile(file, []byte("never_defaults = false\n[pf]\nbackend = \"memory\"\n"+home.Home{Dir: dir}.TOML()+"[portscan]\nenabled = false\n"), 0o600))
	c, err := config.Load(file, config.Options{})
	testkit.Must(t, err)
	d := begin(t, Options{Config: c})
	t.Cleanup(func() { d.stopSources(); d.stopScreen() })
	d.commits.wake = make(chan struct{}, 1)

	now, bans := time.Now(), 0
	piece := strings.Repeat("x", 1000)
	crowd := func() {
		t.Helper()
		for d.bans.Unwritten() <= maxWaiting {
			bans++
			v := detect.Verdict{
				Time: now, Source: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(bans >> 8), byte(bans)}), 32), Jail: "sshd", Score: 1, Proven: true,
				Failures: 5, Shares: []detect.Share{{Jail: "sshd", Fraction: 1, Proven: true}}, Reasons: []string{"failed log-ins"},
			}
			for range 30 {
				v.Evidence = append(v.Evidence, detect.Evidence{Time: now, Jail: "sshd", Proven: true, Text: piece})
			}
			d.bans.Judge(now, v)
			if bans > 4000 {
				t.Fatalf("only %d bytes wait", d.bans.Unwritten())
			}
		}
	}
	waited := func() bool {
		d.commitSoon(t.Context())
		return len(d.commits.wake) == 0 // else it was left to the other goroutine
	}
	crowd()
	if !waited() || d.bans.Unwritten() != 0 {
		t.Errorf("the ledger is well, and the engine does not wait for it: %d bytes", d.bans.Unwritten())
	}
	testkit.Must(t, d.store.Close()) // from here on it cannot be written
	crowd()
	if !waited() || d.bans.Health().Ledger == nil { // nobody knows yet
		t.Fatalf("health %+v", d.bans.Health())
	}
	for range 3 {
		crowd()
		if waited() {
			t.Fatalf("the engine waits for a ledger that cannot be written: %v", d.bans.Health().Ledger)
		}
		<-d.commits.wake
		d.commit(t.Context())
	}
	if h := d.bans.Health(); h.Untold != 0 || h.PF != nil {
		t.Errorf("PF was not told: %+v", h)
	}
}
