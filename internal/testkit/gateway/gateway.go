// Package gateway runs the daemon within a test's own process, over a PF in memory.
package gateway

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/daemon"
	"pfwarden/internal/testkit"
	"pfwarden/pfctl/pftest"
)

// PF makes an OpenBSD's PF in memory that calls an anchor.
func PF(t testing.TB, anchor string) *pftest.PF {
	t.Helper()
	pf, err := pftest.NewGateway("openbsd", anchor)
	testkit.Must(t, err)
	return pf
}

// Fail2ban is a configuration with the jails of a fail2ban folder and nothing else. It keeps its ledger in memory and listens for clients on
// socket, if that is not "".
func Fail2ban(dir, socket string) *config.Config {
	c := config.Default("openbsd")
	c.Fail2ban, c.Portscan.Enabled, c.NeverDefaults = dir, false, false
	c.Store.File, c.Control.Socket, c.Control.Group, c.Metrics.Listen = ":memory:", socket, "", ""
	c.Jails = nil
	return c
}

// Start runs a daemon, which says nothing and looks about often, until stop is called or the test ends, and fails the test if the daemon ends
// with an error.
func Start(t testing.TB, o daemon.Options) (stop func()) {
	t.Helper()
	o.Log, o.Tick, o.Watch = slog.New(slog.DiscardHandler), 20*time.Millisecond, []string{}
	ctx, cancel := context.WithCancel(context.Background())
	d, err := daemon.New(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
