package daemon

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/hooks"
	"pfwarden/internal/ledger"
	"pfwarden/internal/screen"
	"pfwarden/internal/warden"
)

// hookJails are the jails with actions that are run as commands.
func hookJails(f *fail2ban.Running) (jails []hooks.Jail) {
	if f == nil {
		return nil
	}
	for _, j := range f.Jails {
		jails = append(jails, hooks.Jail{Name: j.Engine.Name, BanTime: j.BanTime, Actions: j.Actions, Identifiers: j.Engine.Filter.NamesOthers()})
	}
	return jails
}

// hookJails are those whose actions this daemon runs: none while it only observes, since fail2ban itself may be running, whose rules an action's
// stop would take away.
func (d *Daemon) hookJails(f *fail2ban.Running) []hooks.Jail {
	if d.config.Observe {
		return nil
	}
	return hookJails(f)
}

// Commands lists all that the jails of a fail2ban folder may have run, and fail2ban's log if a jail reads it. f may be nil.
func Commands(f *fail2ban.Running) *hooks.Book {
	var ignores []*screen.Command
	if f != nil {
		for _, j := range f.Jails {
			if j.Screen.Command != nil {
				ignores = append(ignores, j.Screen.Command)
			}
		}
	}
	return hooks.NewBook(hookJails(f), ignores, noticesPath(f), 0)
}

// noticesPath is that of fail2ban's log if a jail reads it, as recidive does; "" if none does.
func noticesPath(f *fail2ban.Running) string {
	if f == nil {
		return ""
	}
	if path := f.Setup.Main["logtarget"]; filepath.IsAbs(path) && f.Reads(path) {
		return path
	}
	return ""
}

// ActionDigests name each action that is run as commands together with all that it is made of. f may be nil.
func ActionDigests(f *fail2ban.Running) map[string]string { return hooks.Digests(hookJails(f)) }

// notices takes the lines of fail2ban's log.
type notices interface {
	Event(e warden.Event, at time.Time) error
	Close() error
}

func (d *Daemon) newHooks(f *fail2ban.Running) *hooks.Hooks {
	return hooks.New(d.hookJails(f), hooks.Options{
		Counts: d.actionCounts, Name: reverseName, Now: d.o.Now, Unclean: d.unclean(), Log: d.log.With("part", "actions"), Remote: d.o.Apart.remote(),
		History: func(p netip.Prefix, jail string) []ledger.Ban {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			bans, err := d.store.History(ctx, ledger.Query{Prefix: p, Jail: jail, Limit: 100, OldestFirst: true})
			if err != nil {
				d.log.Debug("asking the ledger for an action", "error", err)
			}
			return bans
		},
	})
}

// reverseName looks up the name of an address, "" if it has none.
func reverseName(ctx context.Context, a netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	names, err := net.DefaultResolver.LookupAddr(ctx, a.String())
	if err != nil || len(names) == 0 {
		return ""
	}
	return strings.TrimSuffix(names[0], ".")
}

// jailCounts are the numbers that actions can name.
func (d *Daemon) jailCounts(jail string) (c hooks.Counts) {
	for _, b := range d.bans.Live() {
		if b.Jail == jail {
			c.Banned++
		}
	}
	c.BannedTotal = int(d.bans.Stats().Bans[jail])
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.stats.Jails {
		if j.Jail == jail {
			c.FoundTotal = int(j.Observations[detect.Failure])
		}
	}
	before := d.before[jail]
	c.BannedTotal = max(c.BannedTotal-before.BannedTotal, 0)
	c.FoundTotal = max(c.FoundTotal-before.FoundTotal, 0)
	return c
}

// failing is how many sources a jail was counting, and when.
type failing struct {
	sources int
	at      time.Time
}

// failingKept is how long such a count is good enough: it looks at all sources there are, and many bans may ask for it at once.
const failingKept = time.Second

// actionCounts is jailCounts with the sources that the jail is counting at present, which only the engine's goroutine knows. It must not be called
// there. Where that does not answer at once, as when stopping, the last count stands.
func (d *Daemon) actionCounts(jail string) hooks.Counts {
	c, now := d.jailCounts(jail), d.o.Now()
	d.mu.Lock()
	f, known := d.failing[jail]
	d.mu.Unlock()
	if !known || now.Sub(f.at).Abs() >= failingKept {
		ctx, cancel := context.WithTimeout(context.Background(), failingKept)
		defer cancel()
		if d.ask(ctx, func(time.Time) { f = failing{d.detector.Failing(jail), now} }) == nil {
			d.mu.Lock()
			if d.failing == nil {
				d.failing = make(map[string]failing)
			}
			d.failing[jail] = f
			d.mu.Unlock()
		}
	}
	c.Found = f.sources
	return c
}

// countAnew lets the totals of jails begin again, as for jails that were just started: with the bans in force.
func (d *Daemon) countAnew(jails []string) {
	for _, jail := range jails {
		c := d.jailCounts(jail)
		d.mu.Lock()
		if d.before == nil {
			d.before = make(map[string]hooks.Counts)
		}
		b := d.before[jail]
		d.before[jail] = hooks.Counts{BannedTotal: b.BannedTotal + c.BannedTotal - c.Banned, FoundTotal: b.FoundTotal + c.FoundTotal}
		d.mu.Unlock()
	}
}

// liveStories are the bans in force with their evidence, which commands may ask for; none where there are no commands.
func (d *Daemon) liveStories(ctx context.Context) []ledger.Ban {
	if d.fail2ban == nil {
		return nil
	}
	bans, err := d.store.History(ctx, ledger.Query{LiveOnly: true, Limit: warden.DefaultMaxBans, OldestFirst: true})
	if err != nil {
		d.log.Warn("actions learn of the bans in force without their evidence", "error", err)
		return d.bans.Live()
	}
	return bans
}

// openNotices opens the log of fail2ban's name if a jail reads it, as recidive does.
func (d *Daemon) openNotices(f *fail2ban.Running) {
	var next notices
	remote := d.o.Apart.remote()
	switch path := noticesPath(f); {
	case path == "":
	case remote != nil:
		if _, same := d.currentNotices().(*hooks.RemoteNotices); same { // it knows no path
			return
		}
		next = remote.Notices()
	default:
		n, err := hooks.OpenNotices(path)
		if err != nil {
			d.log.Error("jails that read fail2ban's own log will find nothing", "error", err)
			d.fault("fail2ban_log", err.Error())
			break
		}
		d.fault("fail2ban_log", "")
		next = n
	}
	d.replaceNotices(next)
}

func (d *Daemon) currentNotices() notices {
	d.telling.Lock()
	defer d.telling.Unlock()
	return d.notices
}

// replaceNotices puts what takes the lines from now on in the place of what did, which is closed beside us: it may have lines left that
// another process is slow to take, and commits and the engine wait for nobody.
func (d *Daemon) replaceNotices(next notices) {
	d.telling.Lock()
	before := d.notices
	d.notices = next
	d.telling.Unlock()
	if before == nil {
		return
	}
	d.farewells.Go(func() {
		if err := before.Close(); err != nil {
			d.log.Warn("closing fail2ban's log", "error", err)
		}
	})
}

// tellActions hands an event to the commands of fail2ban's actions and to those who read fail2ban's log. It does not wait.
func (d *Daemon) tellActions(e warden.Event) {
	d.hooks.Event(e)
	d.mu.Lock()
	f := d.fail2ban
	d.mu.Unlock()
	d.telling.Lock()
	defer d.telling.Unlock()
	if d.notices == nil || e.Ban.Observed || // fail2ban itself may be running, and writing there
		f.Jail(e.Ban.Jail) == nil {
		return
	}
	if err := d.notices.Event(e, d.o.Now().Local()); err != nil {
		d.fault("fail2ban_log", err.Error())
	}
}

// stopActions lets fail2ban's actions go of their bans, within a minute.
func (d *Daemon) stopActions(ctx context.Context) {
	if !d.handOver(ctx) {
		if err := d.hooks.Stop(limited(ctx, time.Minute), d.liveStories(ctx)); err != nil {
			d.log.Warn("stopping fail2ban's actions", "error", err)
		} else {
			d.mark(false)
		}
	}
	d.replaceNotices(nil)
	d.farewells.Wait()
}
