package metrics

import (
	"context"
	"time"

	"pfwarden/pfctl"
)

// TimedRunner hands commands to next and notes in PfctlDuration how long each took, by what it does.
func (m *Metrics) TimedRunner(next pfctl.Runner, now func() time.Time) pfctl.Runner {
	return timedRunner{m, next, now}
}

type timedRunner struct {
	m    *Metrics
	next pfctl.Runner
	now  func() time.Time
}

func (r timedRunner) Run(ctx context.Context, c pfctl.Command) (pfctl.Result, error) {
	begin := r.now()
	defer func() { r.m.PfctlDuration.With(c.Verb()).Observe(r.now().Sub(begin).Seconds()) }()
	return r.next.Run(ctx, c)
}

// CountsFrom turns PF's counters into those of the metrics. Packets of match rules are left out: they go on to other rules, which
// block or pass them.
func CountsFrom(c pfctl.Counts) Counts {
	sum := func(a, b pfctl.Count) Count { return Count{a.Packets + b.Packets, a.Bytes + b.Bytes} }
	none := pfctl.Count{}
	return Counts{
		InBlock: sum(c.InBlock, none), InPass: sum(c.InPass, c.InXPass),
		OutBlock: sum(c.OutBlock, none), OutPass: sum(c.OutPass, c.OutXPass),
	}
}
