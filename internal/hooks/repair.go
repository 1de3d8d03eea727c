package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pfwarden/internal/ledger"
)

// process runs a command for one ban. If it fails, actioncheck is asked: if that says that all is well, the command is tried once more; if
// not, the action is repaired, or stopped and started, and then it is tried.
func (a *action) process(ctx context.Context, verb string, b *ban) error {
	if a.spec.Command[verb] == "" {
		return nil
	}
	text, err := a.text(verb, b.family)
	if err != nil {
		return err
	}
	a.changing.RLock()
	err = a.run(ctx, text, b)
	a.changing.RUnlock()
	if err == nil || ctx.Err() != nil {
		return err
	}
	if a.spec.Command["actioncheck"] != "" {
		repaired, insane := a.mend(ctx, verb, b)
		if insane != nil {
			return together(err, insane)
		}
		if repaired { // what broke it for one family may have broken it for the other
			defer a.bring(a.familyOf(b.family), b)
			defer a.mendOthers(ctx, b)
		}
	}
	a.changing.RLock()
	defer a.changing.RUnlock()
	return a.run(ctx, text, b)
}

// mend brings what the action works on back to order, if its check says that it is not.
func (a *action) mend(ctx context.Context, verb string, b *ban) (repaired bool, err error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	family := a.familyOf(b.family)
	check, err := a.text("actioncheck", family)
	if err != nil {
		return false, err
	}
	about := &ban{family: family, time: b.time}
	if strings.TrimSpace(check) == "" || a.run(ctx, check, about) == nil {
		return false, nil
	}
	if repair, err := strconv.ParseBool(a.spec.Command["actionrepair_on_unban"]); verb == "actionunban" && (err != nil || !repair) {
		return false, errors.New("its check fails: unbanning is not possible")
	}
	a.h.o.Log.Warn("an action's check fails: it is repaired", "jail", a.name.jail, "action", a.name.action)
	if a.spec.Command["actionrepair"] != "" {
		repair, err := a.text("actionrepair", family)
		if err == nil {
			err = a.run(ctx, repair, about)
		}
		a.mu.Lock()
		a.started[family] = err == nil
		a.mu.Unlock()
		if err != nil {
			return false, fmt.Errorf("repairing it: %w", err)
		}
	} else {
		if err := a.stop(ctx, []string{family}); err != nil {
			a.h.o.Log.Debug("stopping an action to repair it", "jail", a.name.jail, "action", a.name.action, "error", err)
		}
		if err := a.start(ctx, []string{family}, true); err != nil {
			return false, fmt.Errorf("starting it again: %w", err)
		}
	}
	if err := a.run(ctx, check, about); err != nil {
		return false, fmt.Errorf("its check fails after the repair too: %w", err)
	}
	return true, nil
}

// mendOthers looks after the families that b is not of.
func (a *action) mendOthers(ctx context.Context, b *ban) {
	for _, f := range a.families {
		if f == a.familyOf(b.family) || !a.has(f) || b.again {
			continue
		}
		other := &ban{family: f, time: b.time}
		repaired, err := a.mend(ctx, "actionban", other)
		if err != nil {
			a.h.o.Log.Error("an action stays broken", "jail", a.name.jail, "action", a.name.action, "family", f, "error", err)
		} else if repaired {
			a.bring(f, other)
		}
	}
}

// bring puts the bans of a family back that a repair has emptied the action of, but for b, which is being dealt with.
func (a *action) bring(family string, b *ban) {
	if b.again {
		return // already part of that: a command that breaks what it works on shall not go round in circles
	}
	var lost []*ban
	a.mu.Lock()
	for id, x := range a.held {
		if id != b.id && a.familyOf(x.family) == family {
			lost = append(lost, x)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(lost, func(x, y *ban) int { return cmp.Or(cmp.Compare(x.time, y.time), cmp.Compare(x.id, y.id)) })
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	if a.h.actions[a.name] != a {
		return // the configuration has it no more, or otherwise
	}
	for _, x := range lost {
		again := *x
		again.again = true
		a.h.put(a, x.id, job{verb: "ban", ban: &again})
		a.h.stats.Again++
	}
}

// hold notes bans that the daemon before had carried out.
func (a *action) hold(live []ledger.Ban) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range live {
		if b := &live[i]; b.Jail == a.name.jail && !b.Observed && a.spec.Command["actioncheck"] != "" {
			x := newBan(b, a, false)
			a.held[x.id] = x.short()
		}
	}
}

// sweep flushes what a run that was killed left in the action's chain, set or table: bans that ended since, and those that are about to be made
// again, which some packet filters would then hold twice. What fails here was not there.
func (a *action) sweep(ctx context.Context) {
	var done []string
	for _, f := range a.families {
		text, err := a.text("actionflush", f)
		if err == nil && !slices.Contains(done, text) {
			done = append(done, text)
			err = a.run(ctx, text, &ban{family: f, time: float64(a.h.o.Now().Unix())})
		}
		if err != nil {
			a.h.o.Log.Debug("clearing what an action left", "jail", a.name.jail, "action", a.name.action, "error", err)
		}
	}
}
