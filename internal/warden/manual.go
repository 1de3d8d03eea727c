package warden

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// ErrRefused is wrapped by the errors of Ban when the ban is not allowed.
var ErrRefused = errors.New("refused")

// Ban stages a ban by hand, for the given time (0 = the next step's time of the default ladder, less than 0 = for ever). A ban in
// force is lengthened, never shortened; a suspect becomes banned. The ban as it now stands is returned.
func (w *Warden) Ban(now time.Time, p netip.Prefix, d time.Duration, reason, by string) (ledger.Ban, []detect.Notice, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	p, err := Canonical(p)
	if err != nil {
		return ledger.Ban{}, notices, fmt.Errorf("ban: %w: %w", ErrRefused, err)
	}
	b := ledger.Ban{
		Prefix: p, Table: w.cfg.Banned, Proven: true, Observed: w.cfg.Observe, Since: now.Truncate(time.Microsecond), By: clean(by, maxText),
	}
	if reason != "" {
		b.Reasons = []string{clean(reason, maxText)}
	}
	old := w.live[key{"", p, ""}]
	why, text := "", ""
	if e, bad := w.never.Overlaps(p); bad {
		why, text = "never", "the never-list holds "+e.String()
	} else if name, bad := bogon(p); bad {
		why, text = "bogon", fmt.Sprintf("it touches the %s addresses", name)
	} else if p.Bits() < 8 {
		why, text = "wide", "it is wider than /8"
	} else if w.pause.Paused {
		why, text = "paused", "banning is paused: resume first"
	} else if old == nil && len(w.live) >= w.cfg.MaxBans {
		why, text = "full", fmt.Sprintf("%d bans are in force already", len(w.live))
	}
	if why != "" {
		w.refuse(now, b, nil, why, text)
		return ledger.Ban{}, notices, fmt.Errorf("ban %s: %w: %s", short(p), ErrRefused, text)
	}
	if d == 0 {
		step := 0
		if r := w.past.look(key{"", p, ""}, now); r != nil {
			step = r.step
		}
		d = w.cfg.Default.Ladder[min(step, len(w.cfg.Default.Ladder)-1)]
	}
	if d > 0 {
		b.Until = b.Since.Add(d).Truncate(time.Microsecond)
	}
	if old != nil && !supersedes(&b, old) {
		b.Reasons, b.Story = append(slices.Clone(old.Reasons), b.Reasons...), old.Story
		w.extend(now, old, &b, nil)
		return *old.Ban, append(notices, old.notice(now)), nil
	}
	if old != nil {
		w.end(old, now, "moved", b.By)
	}
	h := w.open(b)
	w.stats.Bans[""]++
	w.tell(Event{Kind: EventBan, Time: now, Ban: *h.Ban})
	return *h.Ban, append(notices, h.notice(now)), nil
}

// Unban ends every ban that holds p or lies inside it, whatever its jail, and forgets p's steps. The notices clear the suspicion,
// also where there was no ban. The ended bans are returned.
func (w *Warden) Unban(now time.Time, p netip.Prefix, by string) ([]ledger.Ban, []detect.Notice, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	p, err := Canonical(p)
	if err != nil {
		return nil, notices, fmt.Errorf("unban: %w", err)
	}
	ended, more := w.endAll(now, w.overlapping(p), "manual", by)
	for k := range w.past.records {
		if k.prefix.IsValid() && k.prefix.Overlaps(p) && w.live[k] == nil {
			delete(w.past.records, k)
		}
	}
	w.forgive(ledger.Forgiven{Prefix: p, At: now})
	more = append(more, detect.Notice{Time: now, Kind: detect.Forgiven, Source: p})
	return ended, append(notices, more...), nil
}

// UnbanAll ends every ban, by hand.
func (w *Warden) UnbanAll(now time.Time, by string) ([]ledger.Ban, []detect.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	ended, more := w.endAll(now, w.inOrder(), "manual", by)
	w.past.records = nil
	w.forgive(ledger.Forgiven{At: now})
	return ended, append(notices, more...)
}

// forgive stages that a source's past no longer counts. A later word on the same source says all that an earlier one did, so that what waits for a
// ledger that cannot be written stays bounded by the sources.
func (w *Warden) forgive(f ledger.Forgiven) {
	w.staged.Forgiven = append(slices.DeleteFunc(w.staged.Forgiven, func(o ledger.Forgiven) bool {
		return !f.Prefix.IsValid() || o.Prefix == f.Prefix
	}), f)
}

// UnbanJail ends the bans of one source in one jail only, as fail2ban's clients ask; an invalid p means all of that jail. A jail of
// our own shares its bans with the others: only those that it made end.
func (w *Warden) UnbanJail(now time.Time, jail string, p netip.Prefix, ident, by string) ([]ledger.Ban, []detect.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	list := slices.DeleteFunc(w.inOrder(), func(h *held) bool {
		return h.Jail != jail || (p.IsValid() && h.Prefix != p) || (ident != "" && h.Ident != ident)
	})
	ended, more := w.endAll(now, list, "manual", by)
	for i := range more {
		more[i].Jail = jail
	}
	return ended, append(notices, more...)
}

func (w *Warden) endAll(now time.Time, list []*held, why, by string) ([]ledger.Ban, []detect.Notice) {
	var ended []ledger.Ban
	var notices []detect.Notice
	for _, h := range list {
		w.end(h, now.Truncate(time.Microsecond), why, clean(by, maxText))
		ended = append(ended, *h.Ban)
		notices = append(notices, detect.Notice{Time: now, Kind: detect.Forgiven, Source: h.Prefix, ID: h.Ident})
	}
	return ended, notices
}

// overlapping lists the live bans that hold p or lie inside it, by ID.
func (w *Warden) overlapping(p netip.Prefix) []*held {
	var list []*held
	for _, l := range w.cover.Supernets(p) {
		list = append(list, l...)
	}
	for inside, l := range w.cover.Subnets(p) {
		if inside != p {
			list = append(list, l...)
		}
	}
	sortHeld(list)
	return list
}

// AddNever adds p to the never-list, by hand and for good, and ends its bans at once.
func (w *Warden) AddNever(now time.Time, p netip.Prefix, by, comment string) ([]detect.Notice, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	p, err := Canonical(p)
	if err != nil {
		return notices, fmt.Errorf("never add: %w", err)
	}
	w.never.change(OriginRuntime, []netip.Prefix{p}, nil)
	w.staged.NeverRemove = slices.DeleteFunc(w.staged.NeverRemove, func(o netip.Prefix) bool { return o == p })
	w.staged.NeverAdd = append(w.staged.NeverAdd, ledger.Never{
		Prefix: p, Since: now.Truncate(time.Microsecond), By: clean(by, maxText), Comment: clean(comment, maxText),
	})
	return append(notices, w.letGo(now)...), nil
}

// RemoveNever takes back an AddNever. Entries of another origin (the configuration, own addresses) stay, and are an error.
func (w *Warden) RemoveNever(now time.Time, p netip.Prefix) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := Canonical(p)
	if err != nil {
		return fmt.Errorf("never remove: %w", err)
	}
	found := false
	for _, e := range w.never.Entries() {
		if e.Prefix != p {
			continue
		}
		if !slices.Contains(e.Origins, OriginRuntime) {
			return fmt.Errorf("never remove %s: it comes from %v: change it there", short(p), e.Origins)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("never remove %s: there is no such entry", short(p))
	}
	w.never.change(OriginRuntime, nil, []netip.Prefix{p})
	w.staged.NeverAdd = slices.DeleteFunc(w.staged.NeverAdd, func(n ledger.Never) bool { return n.Prefix == p })
	w.staged.NeverRemove = append(w.staged.NeverRemove, p)
	return nil
}

// SetNever replaces the never-list's entries of one origin (a reloaded configuration, a name's new addresses, changed interfaces)
// and ends the bans that they forbid at once.
func (w *Warden) SetNever(now time.Time, origin string, prefixes []netip.Prefix) []detect.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	w.never.Set(origin, prefixes)
	return append(notices, w.letGo(now)...)
}

// letGo ends the bans that the never-list forbids.
func (w *Warden) letGo(now time.Time) []detect.Notice {
	var list []*held
	for _, e := range w.never.Entries() {
		for _, h := range w.overlapping(e.Prefix) {
			if !slices.Contains(list, h) {
				list = append(list, h)
			}
		}
	}
	_, notices := w.endAll(now, list, "never", byItself)
	return notices
}

// Pause suspends banning; watching goes on. With flush PF's tables are to be empty too; bans in force keep their time and are put
// back by Resume if it has not come.
func (w *Warden) Pause(now time.Time, flush bool, by string) []detect.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	w.setPause(ledger.Pause{Paused: true, Flushed: flush || w.pause.Flushed, Since: now.Truncate(time.Microsecond), By: clean(by, maxText)})
	return notices
}

// Resume ends a pause.
func (w *Warden) Resume(now time.Time, by string) []detect.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	w.setPause(ledger.Pause{Since: now.Truncate(time.Microsecond), By: clean(by, maxText)})
	return notices
}

func (w *Warden) setPause(p ledger.Pause) {
	if p.Flushed != w.pause.Flushed {
		for _, s := range w.spots {
			if s.refs > 0 {
				w.touch(s)
			}
		}
	}
	w.pause = p
	w.staged.Pause = &p
}
