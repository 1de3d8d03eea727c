package daemon

import (
	"context"
	"log/slog"
	"testing"

	"pfwarden/internal/testkit"
	"pfwarden/pfctl/pftest"
)

// begin makes a daemon over a PF in memory and starts its sources and its screening stage, as Run does before it takes what they give. The test
// does that itself.
func begin(t *testing.T, o Options) *Daemon {
	t.Helper()
	pf, err := pftest.NewGateway("openbsd", o.Config.PF.Anchor)
	testkit.Must(t, err)
	o.Runner, o.Log, o.Watch = pf, slog.New(slog.DiscardHandler), []string{}
	d, err := New(t.Context(), o)
	testkit.Must(t, err)
	work, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	d.work = work
	d.startScreen(work)
	d.startSources(work)
	return d
}
