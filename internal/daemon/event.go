package daemon

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"pfwarden/internal/control"
	"pfwarden/internal/warden"
)

// event logs and counts what the warden did. It is called during Commit: by one goroutine at a time, and not always the same.
func (d *Daemon) event(e warden.Event) {
	d.tellActions(e)
	b := &e.Ban
	address := b.Ident
	if b.Prefix.IsValid() {
		address = control.FormatPrefix(b.Prefix)
	}
	log := d.log
	if log.Enabled(context.Background(), slog.LevelInfo) { // a flood of bans shall not be slowed down by what nobody reads
		log = log.With("address", address, "table", b.Table, "jail", jailName(b.Jail))
	}
	reason := strings.Join(b.Reasons, "; ")
	say := func(done, would string, args ...any) { // what is only observed is told as what would have been
		if b.Observed {
			done = would
		}
		log.Info(done, args...)
	}
	switch e.Kind {
	case warden.EventBan:
		d.metrics.Bans.With(jailName(b.Jail), b.Table).Inc()
		if !e.Read.IsZero() {
			d.metrics.BanLatency.Observe(max(0, d.o.Now().Sub(e.Read).Seconds()))
		}
		say("banned", "would ban", "until", until(b.Until), "step", b.Step, "proven", b.Proven, "by", b.By, "reason", reason)
	case warden.EventExtend:
		d.metrics.Extended.With(jailName(b.Jail)).Inc()
		say("ban extended", "would extend the ban", "until", until(b.Until), "reason", reason)
	case warden.EventProlong:
		d.metrics.Prolonged.With(jailName(b.Jail)).Inc()
		say("ban prolonged: it is still hit", "would prolong the ban", "until", until(b.Until), "packets", b.Packets)
	case warden.EventUnban:
		d.metrics.Unbans.With(b.Table, e.Why).Inc()
		say("unbanned", "would unban", "why", e.Why, "by", b.EndedBy, "packets", b.Packets)
	case warden.EventRefuse:
		d.metrics.Refused.With(e.Why).Inc()
		log.Log(context.Background(), refusalLevel(e.Why), "not banned", "why", e.Why, "text", e.Text, "reason", reason)
	}
}

// refusalLevel keeps refusals that come in floods out of the usual log.
func refusalLevel(why string) slog.Level {
	if why == "gate" || why == "daily" || why == "paused" {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// jailName is what bans by hand are counted under.
func jailName(jail string) string {
	if jail == "" {
		return "manual"
	}
	return jail
}

// until writes a ban's end for the log.
func until(t time.Time) string {
	if t.IsZero() {
		return "for ever"
	}
	return t.UTC().Format(time.RFC3339)
}
