package daemon_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/daemon"
	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/gateway"
	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

const years = 10 * 365 * 24 * time.Hour

// steppedHost is a gateway whose clock can be set while time goes on.
type steppedHost struct {
	t      *testing.T
	pf     *pftest.PF
	log    *os.File
	conf   *config.Config
	offset atomic.Int64
	passed atomic.Int64 // beyond what has passed really
	began  time.Time
	looked func() // called after the clock was compared with the steady one; nil = nothing is
	stop   func()
	client *control.Client

	unsteady bool // there is no steady clock to notice steps by
}

func newSteppedHost(t *testing.T) *steppedHost {
	t.Helper()
	dir := t.TempDir()
	h := &steppedHost{t: t, pf: gateway.PF(t, "pfwarden"), began: time.Now()}
	path := filepath.Join(dir, "authlog")
	var err error
	if h.log, err = os.Create(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.log.Close() })
	h.conf = config.Default("openbsd")
	c := h.conf
	c.NeverDefaults = false
	c.Store.File, c.Control.Socket, c.Control.Group, c.Metrics.Listen = filepath.Join(dir, "db"), filepath.Join(dir, "s"), "", ""
	c.Pflog.Interface, c.Pflog.File = "", filepath.Join(dir, "pflog")
	for i := range c.Jails {
		c.Jails[i].Enabled = c.Jails[i].Name == "sshd"
		c.Jails[i].Logs = []string{path}
	}
	return h
}

func (h *steppedHost) now() time.Time {
	return time.Now().Round(0).Add(time.Duration(h.offset.Load() + h.passed.Load()))
}

func (h *steppedHost) start() {
	h.t.Helper()
	h.client = control.NewClient(h.conf.Control.Socket)
	o := daemon.Options{Config: h.conf, Runner: h.pf, Now: h.now}
	if !h.unsteady {
		o.Steady = func() time.Duration {
			if h.looked != nil {
				h.looked()
			}
			return time.Since(h.began) + time.Duration(h.passed.Load())
		}
	}
	h.stop = gateway.Start(h.t, o)
	testkit.Within(h.t, 20*time.Second, "the daemon answers", func() bool {
		_, err := h.client.Status(h.t.Context(), "")
		return err == nil
	})
}

func (h *steppedHost) fail(address string) {
	for i := range 5 {
		fmt.Fprintf(h.log, "%s gw sshd[%d]: Failed password for root from %s port %d ssh2\n", h.now().Format("Jan _2 15:04:05"), 1000+i, address, 40000+i)
	}
}

func (h *steppedHost) inPF(address string) bool {
	res, err := h.pf.Run(h.t.Context(), pfctl.Command{Args: []string{"-a", "pfwarden", "-t", "banned", "-T", "show"}})
	return err == nil && slices.Contains(strings.Fields(string(res.Stdout)), address)
}

func (h *steppedHost) attack(address string) {
	h.t.Helper()
	h.fail(address)
	testkit.Within(h.t, 20*time.Second, "a ban of "+address, func() bool { return h.inPF(address) })
}

// left is how long a ban has to go by the clock of now, as pfwarden tells it; 0 = there is none.
func (h *steppedHost) left(address string) time.Duration {
	for b, err := range h.client.Bans(h.t.Context(), control.BanQuery{}) {
		if err != nil {
			h.t.Fatal(err)
		}
		if b.Address == address && b.Until != nil {
			return b.Until.Sub(h.now())
		}
	}
	return 0
}

// says tells what the health item clock says.
func (h *steppedHost) says() string {
	status, err := h.client.Status(h.t.Context(), "")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, i := range status.Health {
		if i.Name == "clock" && !i.OK {
			return i.Text
		}
	}
	return ""
}

func (h *steppedHost) saying(text string) {
	h.t.Helper()
	testkit.Within(h.t, 20*time.Second, "the health page says "+text, func() bool { return strings.Contains(h.says(), text) })
}

// keeps checks that a ban has most of its ten minutes before it.
func (h *steppedHost) keeps(address string) {
	h.t.Helper()
	if left := h.left(address); left < 8*time.Minute || left > 13*time.Minute || !h.inPF(address) {
		h.t.Errorf("the ban of %s goes on for %v, in pf: %v", address, left, h.inPF(address))
	}
}

// TestClockStepsNoticed: a clock that is set by ten years, or less, and back again, while pfwarden runs is noticed. Bans keep the time that they have
// left, new ones are made at once, and they end in their time.
func TestClockStepsNoticed(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
	}{{"ten years forward", years}, {"ten years back", -years}, {"an hour forward", time.Hour}, {"an hour back", -time.Hour}, {"a minute back", -time.Minute}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newSteppedHost(t)
			h.start()
			h.attack("198.51.100.7")
			if says := h.says(); says != "" {
				t.Errorf("before any step: %s", says)
			}
			h.offset.Add(int64(c.step))
			direction := map[bool]string{true: "set forward by ", false: "set back by "}
			h.saying(direction[c.step > 0])
			h.keeps("198.51.100.7")
			h.attack("198.51.100.8")
			h.offset.Add(-int64(c.step))
			h.saying(direction[c.step < 0])
			h.keeps("198.51.100.7")
			h.keeps("198.51.100.8")
			h.attack("198.51.100.9")
			h.passed.Add(int64(15 * time.Minute))
			for _, a := range []string{"198.51.100.7", "198.51.100.8", "198.51.100.9"} {
				testkit.Within(t, 20*time.Second, "the end of "+a, func() bool { return !h.inPF(a) })
				h.attack(a) // and what attacks again is banned again, whatever it was dated by
			}
			h.passed.Add(int64(25 * time.Hour))
			testkit.Within(t, 20*time.Second, "a green clock after a day", func() bool { return h.says() == "" })
			h.stop()
		})
	}
}

// TestClockWrongAtStart: where the clock is ten years behind the ledger and the snapshot when pfwarden starts, or far ahead, and is set right while it
// runs, bans keep the time that they have left: none stays for ten years, none is lost.
func TestClockWrongAtStart(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
		says string
		gone bool // the ban is ended by the wrong clock, until it is set right
	}{
		{"ten years behind", -years, "behind what the ledger was written by", false},
		{"an hour behind", -time.Hour, "behind what the ledger was written by", false},
		{"ten years ahead", years, "nothing had been written into the ledger for 365", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newSteppedHost(t)
			h.start()
			h.attack("198.51.100.7")
			h.stop()
			h.offset.Add(int64(c.step))
			h.start()
			h.saying(c.says)
			if c.gone {
				testkit.Within(t, 20*time.Second, "the ban's end", func() bool { return !h.inPF("198.51.100.7") })
			} else {
				h.keeps("198.51.100.7")
			}
			h.attack("198.51.100.8")
			h.offset.Add(-int64(c.step))
			h.saying(map[bool]string{true: "set back by ", false: "set forward by "}[c.step > 0])
			testkit.Within(t, 20*time.Second, "both bans", func() bool { return h.inPF("198.51.100.7") && h.inPF("198.51.100.8") })
			h.keeps("198.51.100.7")
			h.keeps("198.51.100.8")
			h.stop()
			h.start() // and the ledger holds them so
			h.keeps("198.51.100.7")
			h.keeps("198.51.100.8")
			if says := h.says(); says != "" {
				t.Errorf("another start: %s", says)
			}
			h.passed.Add(int64(15 * time.Minute))
			testkit.Within(t, 20*time.Second, "their ends", func() bool { return !h.inPF("198.51.100.7") && !h.inPF("198.51.100.8") })
			h.stop()
		})
	}
}

// TestClockSetWhileStarting: a clock that is set while pfwarden starts, as at the boot of a machine whose own clock has no battery, is taken to be set once.
func TestClockSetWhileStarting(t *testing.T) {
	t.Parallel()
	h := newSteppedHost(t)
	h.start()
	h.attack("198.51.100.7")
	h.stop()
	h.offset.Store(int64(-years))
	h.looked = sync.OnceFunc(func() { h.offset.Store(0) })
	h.start()
	h.saying("set forward by ")
	h.keeps("198.51.100.7")
	h.stop()
}

// TestClockBehindForgetsSuspicion: where the clock is further behind at the start than a detector can go on with, it begins anew.
func TestClockBehindForgetsSuspicion(t *testing.T) {
	t.Parallel()
	h := newSteppedHost(t)
	score := func() float64 {
		x, err := h.client.Explain(t.Context(), netip.MustParsePrefix("198.51.100.7/32"))
		if err != nil {
			t.Fatal(err)
		}
		return x.Score
	}
	h.start()
	fmt.Fprintf(h.log, "%s gw sshd[7]: Failed password for root from 198.51.100.7 port 4711 ssh2\n", h.now().Format("Jan _2 15:04:05"))
	testkit.Within(t, 20*time.Second, "a suspicion", func() bool { return score() > 0 })
	h.stop()
	h.start()
	if score() == 0 {
		t.Error("a start forgot it while the clock was right")
	}
	h.stop()
	h.offset.Add(int64(-time.Hour))
	h.start()
	h.saying("what was suspected is forgotten")
	if score := score(); score != 0 {
		t.Errorf("an hour back it has score %v still", score)
	}
	h.stop()
}

// TestWrongClockKeepsHistory: a clock that is years ahead does not cost the history of bans: at each snapshot a day of the oldest goes at most.
func TestWrongClockKeepsHistory(t *testing.T) {
	t.Parallel()
	h := newSteppedHost(t)
	const bans = 20
	db, err := ledger.Open(h.conf.Store.File, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var batch ledger.Batch
	for i := range bans {
		at := h.now().Add(-time.Duration(bans-i) * 48 * time.Hour).Truncate(time.Microsecond)
		batch.Bans = append(batch.Bans, ledger.Ban{
			ID: int64(i + 1), Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32), Table: "banned", Jail: "sshd", State: ledger.Ended, //nolint:gosec // few
			Since: at, Until: at.Add(time.Hour), Ended: at.Add(time.Hour), EndWhy: "expired", By: "pfwarden",
		})
	}
	if err := errors.Join(db.Record(t.Context(), batch), db.Close()); err != nil {
		t.Fatal(err)
	}
	h.offset.Add(int64(years))
	h.start()
	h.stop()
	if db, err = ledger.Open(h.conf.Store.File, ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	left, err := db.History(t.Context(), ledger.Query{})
	if err != nil || len(left) < bans-3 || len(left) == bans {
		t.Errorf("%d of %d bans are left: %v", len(left), bans, err)
	}
}
