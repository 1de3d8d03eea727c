package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"pfwarden/detect"
	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/engine"
	"pfwarden/internal/ledger"
	"pfwarden/internal/screen"
	"pfwarden/internal/warden"
)

// Recall tells of an address or prefix what the ledger of a daemon that does not run holds: its bans, with the verdicts that led to them, and the
// suspicion of the last snapshot as it would be now. It changes nothing. Names on the never-list are not looked up, and jails of a fail2ban folder
// have no suspicion here. Without a ledger the error wraps fs.ErrNotExist.
func Recall(ctx context.Context, c *config.Config, p netip.Prefix, now time.Time) (control.Explanation, error) {
	store, err := ledger.Look(c.Store.File)
	if err != nil {
		return control.Explanation{}, err
	}
	e, err := recall(ctx, c, store, p, now)
	return e, errors.Join(err, store.Close())
}

func recall(ctx context.Context, c *config.Config, store ledger.Store, p netip.Prefix, now time.Time) (e control.Explanation, err error) {
	never := &warden.NeverList{}
	list, err := screen.NewList(c.Never, nil, nil)
	if err != nil {
		return e, fmt.Errorf("never-list: %w", err)
	}
	for origin, prefixes := range list.Origins() {
		never.Set(origin, prefixes)
	}
	own := ownAddresses()
	plan, err := engine.NewPlan(c, engine.PlanOptions{Filters: builtin.Lookup, Jails: c.ActiveJails(nil), Own: own, Never: never})
	if plan == nil {
		return e, err
	}
	bans, err := warden.New(ctx, plan.Warden, store, idle{}, never, now)
	if err != nil {
		return e, err
	}
	detector, err := detect.New(plan.Detector)
	if err != nil {
		return e, err
	}
	saved := now
	// Without a snapshot, or with one that cannot be used, there is no suspicion to tell of.
	if snap, ok, err := store.LoadSnapshot(ctx); ok && err == nil && detector.Restore(bytes.NewReader(snap.Detector), now) == nil {
		saved = snap.Time
		notices, err := bans.Since(ctx, snap.Time)
		if err != nil {
			return e, err
		}
		for _, n := range notices {
			detector.Notice(n)
		}
	}
	k := known{never: never, bans: bans, store: store, most: cmp.Or(plan.Warden.SuspectsPerDay, warden.DefaultSuspectsPerDay)}
	if e, err = k.explain(ctx, p, detector.Explain(p.Addr(), now)); err != nil {
		return e, err
	}
	saved = saved.UTC()
	e.Saved = &saved
	e.Story = append([]string{fmt.Sprintf("The daemon is not running. Its ledger tells this; suspicion is as of %s, and PF's tables keep bans whose time is over until it runs again.", saved.Format(time.RFC3339))}, e.Story...)
	return e, nil
}

// idle stands where PF is: nothing is changed there.
type idle struct{}

func (idle) Add(context.Context, ...warden.Entry) error    { return nil }
func (idle) Delete(context.Context, ...warden.Entry) error { return nil }
