package daemon

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/pfctl/pftest"
)

// TestGapOfTheInterface: beside an interface the pflog file gives what was captured before the interface was opened and not dealt with, whatever
// the clock said when the snapshot was taken: neither what waited in the queue at a crash is lost, nor is a packet read twice at a reload.
func TestGapOfTheInterface(t *testing.T) {
	c := config.Default("openbsd")
	dir := t.TempDir()
	c.NeverDefaults = false
	c.Store.File, c.Control.Socket, c.Control.Group, c.Metrics.Listen = filepath.Join(dir, "db"), filepath.Join(dir, "s"), "", ""
	c.Pflog.Interface, c.Pflog.File = "", filepath.Join(dir, "pflog")
	c.Jails = nil
	pf, err := pftest.NewGateway("openbsd", c.PF.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	now := start.Add(10 * time.Second)
	begin := func() *Daemon {
		d, err := New(t.Context(), Options{Config: c, Runner: pf, Log: slog.New(slog.DiscardHandler), Watch: []string{}, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.store.Close() })
		return d
	}
	live := func(s int) *packet {
		p := &packet{read: now}
		p.Time = start.Add(time.Duration(s) * time.Second)
		p.Flow.Source, p.Flow.Destination = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.1")
		return p
	}
	// What the file gives of the packets of seconds 1 to 12, once the interface was opened at 11.
	filled := func(d *Daemon) (seconds []int) {
		for s := range 13 {
			if d.inGap(live(s).Time, start.Add(11*time.Second)) {
				seconds = append(seconds, s)
			}
		}
		return seconds
	}
	d := begin()
	for s := 1; s <= 7; s++ {
		d.packet(live(s))
	}
	d.packets <- *live(8) // captured, and not dealt with when the snapshot is taken
	d.snapshot(t.Context(), now)
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	d = begin()
	if got := filled(d); len(got) != 3 || got[0] != 8 {
		t.Errorf("after a crash the file fills seconds %v, want 8 to 10", got)
	}
	if _, is := d.positions[livePath]; is {
		t.Error("the interface is taken for a log")
	}
	d.packet(live(9))
	d.closeGap()
	if got := filled(d); len(got) != 1 || got[0] != 10 {
		t.Errorf("after a reload the file fills seconds %v, want 10", got)
	}
}
