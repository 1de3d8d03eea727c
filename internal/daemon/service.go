package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/ledger"
	"pfwarden/pfctl"
)

// service answers the control socket.
type service struct{ d *Daemon }

var _ control.Service = (*service)(nil)

// Status implements control.Service.
func (s *service) Status(ctx context.Context, jail string) (control.Status, error) {
	d := s.d
	d.mu.Lock()
	c, plan, f := d.config, d.plan, d.fail2ban
	stats, guesses := d.stats, d.guesses
	d.mu.Unlock()
	out := control.Status{
		Version: d.o.Version, PID: os.Getpid(), Started: d.started, Now: d.o.Now(), Config: c.Path, Backend: c.PF.Backend,
		Observe: c.Observe, Health: d.health(), Sources: d.sourceStatus(),
		Guesses: guessesOf(guesses),
	}
	if p := d.bans.Health().Paused; p.Paused {
		out.Paused = &control.Pause{Since: p.Since, By: p.By, Flushed: p.Flushed}
	}
	live := make(map[string]int)
	for _, b := range d.bans.Live() {
		live[b.Jail]++
	}
	made := d.bans.Stats().Bans
	seen := make(map[string]detect.JailStats)
	for _, j := range stats.Jails {
		seen[j.Jail] = j
	}
	add := func(j control.JailStatus) {
		if jail != "" && j.Name != jail {
			return
		}
		j.Bans, j.BansTotal = live[j.Name], made[j.Name]
		x := seen[j.Name]
		for _, n := range x.Observations {
			j.Observations += n
		}
		j.Verdicts = x.Proven + x.Spoofable
		out.Jails = append(out.Jails, j)
	}
	if c.Portscan.Enabled {
		add(control.JailStatus{Name: "portscan", Threshold: c.Portscan.Threshold, Window: config.FormatDuration(c.Portscan.HalfLife)})
	}
	for _, j := range plan.Jails {
		if x := f.Jail(j.Name); x != nil {
			add(control.JailStatus{
				Name: j.Name, Filter: x.Jail.Filter.Name, Logs: j.Logs, Threshold: float64(x.Detect.Threshold),
				Window: config.FormatDuration(x.Detect.Findtime),
			})
			continue
		}
		x := c.Jail(j.Name)
		if x == nil {
			continue
		}
		add(control.JailStatus{Name: j.Name, Filter: x.Filter, Logs: j.Logs, Threshold: float64(x.MaxRetry), Window: config.FormatDuration(x.FindTime)})
	}
	if jail != "" {
		if len(out.Jails) == 0 {
			return out, fmt.Errorf("jail %s: %w", jail, control.ErrNotFound)
		}
		bans, err := s.Bans(ctx, control.BanQuery{Jail: jail})
		if err != nil {
			return out, err
		}
		out.Bans = bans
	}
	out.Tables = tableStatus(d.freshCounters(ctx, 0))
	return out, nil
}

func guessesOf(list []detect.Guess) []control.Guess {
	var out []control.Guess
	for _, g := range list {
		c := control.Guess{User: g.User, Addresses: g.Addresses, Failures: g.Failures, First: g.First, Last: g.Last}
		if g.Prefix.IsValid() {
			c.Prefix = g.Prefix.String()
		}
		out = append(out, c)
	}
	return out
}

func tableStatus(c pfctl.Counters) []control.TableStatus {
	var out []control.TableStatus
	for _, t := range c.Tables {
		b := t.Totals.Blocked()
		out = append(out, control.TableStatus{Name: t.Name, Addresses: len(t.Addresses), Packets: b.Packets, Bytes: b.Bytes})
	}
	return out
}

func (d *Daemon) sourceStatus() []control.SourceStatus {
	var out []control.SourceStatus
	d.mu.Lock()
	s := d.sources
	d.mu.Unlock()
	last := func(nanos int64) *time.Time {
		if nanos == 0 {
			return nil
		}
		t := time.Unix(0, nanos).UTC()
		return &t
	}
	if s.live != nil {
		n := s.live.Statistics()
		state := "capturing"
		if !s.up {
			state = "gone, tried again"
		}
		out = append(out, control.SourceStatus{
			Name: d.settings().Pflog.Interface, Kind: "pflog", State: state, OK: s.up, Records: d.watcher.packetCount.Load(),
			Dropped: n.Dropped, Last: last(d.watcher.packetTime.Load()),
		})
	}
	if s.live == nil && s.follower != nil {
		f := s.follower.Stats()
		state, rejected := "following", uint64(0)
		switch {
		case !f.Present:
			state = "not there yet"
		case f.Broken:
			state = "damaged, waiting for the next file"
		}
		for _, n := range f.Rejects {
			rejected += n
		}
		out = append(out, control.SourceStatus{
			Name: f.Path, Kind: "pflog", State: state, OK: f.Present && !f.Broken, Records: f.Packets, Rejected: rejected,
			Last: last(d.watcher.packetTime.Load()),
		})
	}
	for _, l := range d.logStats() {
		state := "following"
		if !l.Present {
			state = "not there yet"
		} else if l.Behind > 0 {
			state = fmt.Sprintf("%d bytes behind", l.Behind)
		}
		out = append(out, control.SourceStatus{Name: l.Path, Kind: "log", State: state, OK: l.Present, Records: l.Lines, Last: d.watcher.lastOf(l.Path)})
	}
	return out
}

// health gathers what every part says of itself.
func (d *Daemon) health() []control.HealthItem {
	var out []control.HealthItem
	if d.settings().PF.Backend != "memory" {
		for _, h := range append(d.driver.Health(), d.anchorHealth()...) {
			out = append(out, control.HealthItem{Name: "pf_" + strings.ReplaceAll(h.Name, "-", "_"), OK: h.OK, Text: h.Text, Remedy: h.Fix})
		}
	}
	w := d.bans.Health()
	item := func(name string, err error, remedy string) {
		h := control.HealthItem{Name: name, OK: err == nil}
		if err != nil {
			h.Text, h.Remedy = err.Error(), remedy
		}
		out = append(out, h)
	}
	if w.Ledger == nil {
		w.Ledger = d.cramped()
	}
	item("ledger", w.Ledger, "free disk space or mend the database's folder; bans are kept in memory and written as soon as that is possible")
	item("pf_changes", w.PF, "see the pf items")
	var full error
	if w.Full {
		full = errors.New("the bound on live bans is reached: no more are made")
	}
	d.mu.Lock()
	sources := d.sources
	d.mu.Unlock()
	var damaged error
	if sources.live == nil && sources.follower != nil && sources.follower.Stats().Broken {
		damaged = errors.New("the pflog file is damaged: what comes after the damage is not seen")
	}
	item("pflog_file", damaged, "move the file away and send pflogd SIGHUP")
	if r := d.o.Apart.remote(); r != nil {
		var fault error
		if text := r.Fault(); text != "" {
			fault = errors.New(text)
		}
		item("hooks", fault, "see the log for what ended it; a reload begins anew")
	}
	item("bans_room", full, "shorten the ladder, or ban prefixes")
	d.mu.Lock()
	item("config", d.reload, "mend the configuration and send SIGHUP again")
	for name, text := range d.faults {
		out = append(out, control.HealthItem{Name: strings.ReplaceAll(name, " ", "_"), Text: text})
	}
	d.mu.Unlock()
	sort.SliceStable(out, func(i, j int) bool { return !out[i].OK && out[j].OK })
	return out
}

// Health implements control.Service.
func (s *service) Health(context.Context) ([]control.HealthItem, error) { return s.d.health(), nil }

// Bans implements control.Service.
func (s *service) Bans(ctx context.Context, q control.BanQuery) ([]control.Ban, error) {
	s.d.freshCounters(ctx, 0)
	live := s.d.bans.Live()
	if q.Prefix.IsValid() {
		live = s.d.bans.Lookup(q.Prefix)
	}
	out := []control.Ban{}
	for i := range live {
		b := &live[i]
		if q.Table != "" && b.Table != q.Table || q.Jail != "" && b.Jail != q.Jail {
			continue
		}
		out = append(out, banOf(b))
	}
	return out, nil
}

func banOf(b *ledger.Ban) control.Ban {
	c := control.Ban{
		Address: b.Ident, Table: b.Table, Jail: b.Jail, Proven: b.Proven, Since: b.Since.UTC(), Step: b.Step,
		Reason: strings.Join(b.Reasons, "; "), Packets: b.Packets, Bytes: b.Bytes, Until: timeOrNull(b.Until), LastHit: timeOrNull(b.LastHit), Observed: b.Observed,
	}
	if b.Prefix.IsValid() {
		c.Address = control.FormatPrefix(b.Prefix)
	}
	return c
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Ban implements control.Service.
func (s *service) Ban(ctx context.Context, by string, o control.BanOrder) (control.BanResult, error) {
	length := o.For
	if o.Forever {
		length = -1
	}
	var out control.BanResult
	err := s.change(ctx, func(now time.Time) {
		for _, p := range o.Prefixes {
			ban, notices, err := s.d.bans.Ban(now, p, length, o.Reason, by)
			if err != nil {
				out.Refused = append(out.Refused, control.Refusal{Address: control.FormatPrefix(p), Text: err.Error()})
				continue
			}
			s.d.engine.Notices(notices)
			out.Bans = append(out.Bans, banOf(&ban))
		}
	})
	return out, err
}

// change lets f change bans on the engine's goroutine, and waits until PF has what follows from it. What is carried out may hold others'
// decisions too: it goes on where the client has gone.
func (s *service) change(ctx context.Context, f func(now time.Time)) error {
	var failed error
	if err := s.d.ask(ctx, func(now time.Time) {
		f(now)
		failed = s.d.engine.Commit(context.WithoutCancel(ctx))
	}); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("decided, but not all of it could be carried out yet; it is tried again: %w", failed)
	}
	if err := s.d.each(func(x *pfctl.Driver) error { return x.Sync(ctx) }); err != nil {
		return fmt.Errorf("decided and written down, but pf could not be changed yet; it is tried again: %w", err)
	}
	return nil
}

// Unban implements control.Service.
func (s *service) Unban(ctx context.Context, by string, o control.UnbanOrder) (control.BanResult, error) {
	var out control.BanResult
	err := s.change(ctx, func(now time.Time) {
		end := func(bans []ledger.Ban, notices []detect.Notice) {
			s.d.engine.Notices(notices)
			for i := range bans {
				out.Bans = append(out.Bans, banOf(&bans[i]))
			}
		}
		if o.All {
			end(s.d.bans.UnbanAll(now, by))
		}
		for _, p := range o.Prefixes {
			bans, notices, err := s.d.bans.Unban(now, p, by)
			if err != nil {
				out.Refused = append(out.Refused, control.Refusal{Address: control.FormatPrefix(p), Text: err.Error()})
			}
			end(bans, notices)
		}
	})
	return out, err
}

// Never implements control.Service.
func (s *service) Never(context.Context) ([]control.NeverEntry, error) {
	out := []control.NeverEntry{}
	for _, e := range s.d.never.Entries() {
		out = append(out, control.NeverEntry{Address: control.FormatPrefix(e.Prefix), Origins: e.Origins})
	}
	return out, nil
}

// NeverAdd implements control.Service.
func (s *service) NeverAdd(ctx context.Context, by string, prefixes []netip.Prefix, comment string) (control.BanResult, error) {
	var out control.BanResult
	err := s.change(ctx, func(now time.Time) {
		for _, p := range prefixes {
			for _, b := range s.d.bans.Lookup(p) {
				out.Bans = append(out.Bans, banOf(&b))
			}
			notices, err := s.d.bans.AddNever(now, p, by, comment)
			if err != nil {
				out.Refused = append(out.Refused, control.Refusal{Address: control.FormatPrefix(p), Text: err.Error()})
				continue
			}
			s.d.engine.Notices(notices)
		}
	})
	s.d.share.tell()
	return out, err
}

// NeverRemove implements control.Service.
func (s *service) NeverRemove(ctx context.Context, _ string, prefixes []netip.Prefix) (control.BanResult, error) {
	var out control.BanResult
	err := s.change(ctx, func(now time.Time) {
		for _, p := range prefixes {
			if err := s.d.bans.RemoveNever(now, p); err != nil {
				out.Refused = append(out.Refused, control.Refusal{Address: control.FormatPrefix(p), Text: err.Error()})
			}
		}
	})
	if s.d.share != nil && len(out.Refused) < len(prefixes) {
		out.Note = "the privileged process, from whose never-list a worker cannot take anything, keeps bans of it from pf until the next reload (SIGHUP) or restart"
	}
	return out, err
}

// Pause implements control.Service.
func (s *service) Pause(ctx context.Context, by string, flush bool) error {
	return s.change(ctx, func(now time.Time) { s.d.engine.Notices(s.d.bans.Pause(now, flush, by)) })
}

// Resume implements control.Service.
func (s *service) Resume(ctx context.Context, by string) error {
	return s.change(ctx, func(now time.Time) { s.d.engine.Notices(s.d.bans.Resume(now, by)) })
}
