package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/internal/config"
)

// TestFound: <jail.found> stands for the sources that a jail counts at present, and for the last count once the engine is gone.
func TestFound(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "web.log")
	c, err := config.Parse("t.toml", []byte(fmt.Sprintf("never_defaults = false\n[pf]\nbackend = \"memory\"\n[pflog]\ninterface = \"\"\nfile = \"\"\n"+
		"[metrics]\nlisten = \"\"\n[store]\nfile = \":memory:\"\n[control]\nsocket = %q\ngroup = \"\"\n[portscan]\nenabled = false\n"+
		"[jail.web]\nfailregex = ['^ ?refused <HOST>$']\nlogs = [%q]\nmaxretry = 3\n", filepath.Join(dir, "s"), log)), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int64
	now := func() time.Time {
		return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Add(time.Duration(passed.Load()))
	}
	d := begin(t, Options{Config: c, Now: now, Tick: time.Hour})
	d.startCommits(d.work)
	ctx, stop := context.WithCancel(d.work)
	ended := make(chan struct{})
	go func() { defer close(ended); d.loop(ctx, d.work) }()
	fail := func(source string) {
		if err := d.ask(ctx, func(time.Time) {
			d.batch([]capture.Line{{Text: "refused " + source, Origin: log, Read: now(), Next: capture.Position{Path: log}}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n int) {
		t.Helper()
		if got := d.actionCounts("web").Found; got != n {
			t.Errorf("%d sources, want %d", got, n)
		}
	}
	want(0)
	fail("198.51.100.7")
	fail("198.51.100.7")
	fail("198.51.100.8")
	want(0) // as it was a moment ago
	passed.Add(int64(failingKept))
	want(2)
	stop()
	<-ended
	close(d.stopping)
	passed.Add(int64(time.Minute))
	want(2)
	d.stopSources()
	d.stopScreen()
	d.stopCommits()
}
