package warden

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// Judge stages what follows from a verdict, and ends the bans whose time has come by now. The notices are for the detector: the
// ban that was made or was already in force, and the bans that ended.
//
// A verdict may be older than now (a backlog read after a restart): its ban counts from the verdict's time, and if it would have
// ended already, none is made.
func (w *Warden) Judge(now time.Time, v detect.Verdict) []detect.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	j := w.jail(v.Jail)
	if v.Time.After(now) {
		v.Time = now
	}
	b, why, text := w.draft(now, &v, j)
	if why != "" {
		w.refuse(now, b, &v, why, text)
		return notices
	}
	k := key{b.Scope, b.Prefix, b.Ident}
	if old := w.live[k]; old != nil {
		if !supersedes(&b, old) {
			w.extend(now, old, &b, &v)
			return append(notices, old.notice(now))
		}
		w.end(old, now, "moved", byItself)
	}
	h := w.open(b)
	w.past.opened(h, b.Count == 0, now)
	if b.Count > 0 {
		w.past.records[memoryKey(k)].forget = w.forget(b.Jail, b.Since, b.Until, time.Time{})
	}
	w.stats.Bans[b.Jail]++
	w.tell(Event{Kind: EventBan, Time: b.Since, Read: w.cfg.Read(), Ban: h.telling(&b), Verdict: &v})
	return append(notices, h.notice(b.Since))
}

// supersedes tells whether b takes old's place instead of lengthening it: what was only suspected is now proven.
func supersedes(b *ledger.Ban, old *held) bool {
	return b.Proven && !old.Proven && b.Table != old.Table
}

// draft makes the ban that v asks for, or says why there is to be none.
func (w *Warden) draft(now time.Time, v *detect.Verdict, j Jail) (b ledger.Ban, why, text string) {
	b = ledger.Ban{
		Prefix: v.Source, Ident: clean(v.ID, maxText), Jail: v.Jail, Scope: scopeOf(v.Jail, j), Proven: v.Proven, Observed: w.cfg.Observe,
		Since: v.Time.Truncate(time.Microsecond), By: byItself,
	}
	b.Reasons, b.Story = story(v)
	switch {
	case v.Stopped:
		return b, "gate", stoppedBy(v)
	case !v.Source.IsValid() && (v.ID == "" || j.Fail2ban == nil):
		return b, "source", "the verdict names no address"
	case w.pause.Paused:
		return b, "paused", "banning is paused since " + w.pause.Since.UTC().Format(time.RFC3339)
	}
	if p, err := netip.ParsePrefix(v.ID); err == nil && j.Fail2ban != nil && v.Source.IsValid() && p.Contains(v.Source.Addr()) {
		v.Source = p // a filter of fail2ban's that names networks
	}
	if v.Source.IsValid() {
		if b.Prefix, why, text = w.allowed(v.Source, j); why != "" {
			return b, why, text
		}
	}
	proven := v.Proven || j.Fail2ban != nil
	wide := b.Prefix.IsValid() && isWide(b.Prefix)
	switch {
	case !b.Prefix.IsValid(), j.NoTable: // an identifier that only hooks understand, or a jail that only they serve
	case !proven && wide:
		return b, "wide", "a prefix is never banned on spoofable evidence"
	case !proven, wide && j.Table == "":
		b.Table, b.Scope = w.cfg.Suspects, "" // inbound only
	case j.Table != "":
		b.Table = j.Table
	default:
		b.Table = w.cfg.Banned
	}
	k := key{b.Scope, b.Prefix, b.Ident}
	old := w.live[k]
	if old != nil && !supersedes(&b, old) && !proven {
		b.Until = b.Since // a suspect is never prolonged: leaves old as it is
		return b, "", ""
	}
	if why, text = w.span(now, &b, j, proven, old); why != "" {
		return b, why, text
	}
	if old == nil && len(w.live) >= w.cfg.MaxBans {
		return b, "full", fmt.Sprintf("%d bans are in force already: see the bound on live bans", len(w.live))
	}
	return b, "", ""
}

// span sets the ban's end, step and count.
func (w *Warden) span(now time.Time, b *ledger.Ban, j Jail, proven bool, old *held) (why, text string) {
	k := key{b.Scope, b.Prefix, b.Ident}
	r := w.past.look(k, now)
	d := j.Suspect
	switch {
	case j.Fail2ban != nil:
		n := 0
		if r != nil {
			n = r.count
		}
		b.Count = n + 1
		if j.Fail2ban.Overall() {
			n = w.overall(b.Prefix, b.Ident, now)
		}
		if old != nil && old.Count > 0 {
			n, b.Count = 0, old.Count // lengthened by the plain ban time, as fail2ban does
		}
		d = j.Fail2ban.Duration(n, w.random(b))
	case proven:
		b.Step, b.Count = 1, 1
		if r != nil {
			b.Step, b.Count = r.step+1, r.count+1
		}
		if old != nil && old.Count > 0 {
			b.Step, b.Count = old.Step, old.Count // in force: lengthened on its step
		}
		b.Step = min(max(b.Step, 1), len(j.Ladder))
		if d = j.Ladder[b.Step-1]; d > 0 {
			d = w.jitter(b, j, d)
		}
	default:
		if r != nil && len(r.suspects) >= w.cfg.SuspectsPerDay {
			return "daily", fmt.Sprintf("was a suspect %d times within 24 hours already", len(r.suspects))
		}
		d = w.jitter(b, j, d)
	}
	if d <= 0 {
		return "", "" // for ever
	}
	b.Until = b.Since.Add(d).Truncate(time.Microsecond)
	if !b.Until.After(now) {
		return "stale", fmt.Sprintf("the ban would have ended at %s already", b.Until.UTC().Format(time.RFC3339))
	}
	return "", ""
}

// overall sums the bans of a source over all fail2ban jails, as bantime.overalljails asks.
func (w *Warden) overall(p netip.Prefix, ident string, now time.Time) int {
	n := 0
	for name, j := range w.cfg.Jails {
		if j.Fail2ban == nil {
			continue
		}
		if r := w.past.look(key{scopeOf(name, j), p, ident}, now); r != nil {
			n += r.count
		}
	}
	return n
}

// open makes b live and stages it.
func (w *Warden) open(b ledger.Ban) *held {
	w.lastID++
	b.ID = w.lastID
	h := &held{Ban: &b, heap: -1}
	if s := w.insert(h); s != nil {
		w.touch(s)
	}
	w.changed(h)
	w.weigh(h)
	return h
}

// extend moves the end of a live ban if b ends later; it never shortens.
func (w *Warden) extend(now time.Time, h *held, b *ledger.Ban, v *detect.Verdict) {
	if h.Permanent() || (!b.Until.IsZero() && !b.Until.After(h.Until)) {
		w.stats.Already++
		return
	}
	h.Until = b.Until
	h.Longer++
	if b.Proven {
		h.Proven = true
	}
	h.Reasons, h.Story = b.Reasons, b.Story
	w.ends.moved(h)
	w.changed(h)
	w.weigh(h)
	w.stats.Extended++
	w.tell(Event{Kind: EventExtend, Time: now, Ban: h.telling(b), Verdict: v})
}

// allowed applies the jail's width and asks the never-list and the bogons, the last time before PF but for Commit's own look.
func (w *Warden) allowed(p netip.Prefix, j Jail) (_ netip.Prefix, why, text string) {
	p, err := Canonical(p)
	if err != nil {
		return p, "source", err.Error()
	}
	width := j.Prefix4
	if p.Addr().Is6() {
		width = j.Prefix6
	}
	if width > 0 && width < p.Bits() {
		wide := netip.PrefixFrom(p.Addr(), width).Masked()
		if _, bad := w.never.Overlaps(wide); !bad { // else the source itself is all that may be banned
			p = wide
		}
	}
	if e, bad := w.never.Overlaps(p); bad {
		return p, "never", "the never-list holds " + e.String()
	}
	if name, bad := bogon(p); bad && j.Fail2ban == nil {
		return p, "bogon", fmt.Sprintf("%s touches the %s addresses", short(p), name)
	}
	return p, "", ""
}

// isWide tells whether a ban of p reaches beyond what one source is taken to be.
func isWide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 32
	}
	return p.Bits() < 64
}

// jitter adds up to j.Jitter to d; the same ban gets the same in every run with the same seed.
func (w *Warden) jitter(b *ledger.Ban, j Jail, d time.Duration) time.Duration {
	if j.Jitter <= 0 {
		return d
	}
	return d + time.Duration(w.random(b)*float64(j.Jitter))
}

func (w *Warden) random(b *ledger.Ban) float64 {
	h := fnv.New64a()
	text, _ := b.Prefix.MarshalBinary()
	h.Write(text)
	h.Write([]byte(b.Ident))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(b.Since.UnixMicro())))
	return rand.New(rand.NewPCG(w.cfg.Seed, h.Sum64())).Float64()
}

func stoppedBy(v *detect.Verdict) string {
	var said []string
	for _, g := range v.Gates {
		if g.Stopped {
			said = append(said, g.Gate+": "+g.Text)
		}
	}
	return strings.Join(said, "; ")
}
