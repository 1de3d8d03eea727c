package daemon

import (
	"bytes"
	"context"
	"errors"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/metrics"
	"pfwarden/internal/screen"
)

// reloadNow takes over a changed configuration as a whole, or keeps the old one if the new one has a fault. Suspicion, bans and log positions
// stay; PF's tables are compared with what they should hold.
func (d *Daemon) reloadNow(ctx context.Context) {
	for _, driver := range d.drivers() {
		driver.Reconcile()
	}
	if d.o.Load == nil {
		return
	}
	c, err := d.o.Load()
	if err == nil {
		err = d.takeConfig(ctx, c)
	}
	d.mu.Lock()
	d.reload = err
	d.mu.Unlock()
	if err != nil {
		d.metrics.ConfigAccepted.Set(0)
		d.log.Error("the configuration was not taken over; the old one stays", "error", err)
		return
	}
	d.metrics.ConfigAccepted.Set(1)
	d.metrics.ConfigTime.Set(float64(d.o.Now().Unix()))
	d.log.Info("configuration taken over", "jails", len(d.plan.Jails))
}

func (d *Daemon) takeConfig(ctx context.Context, c *config.Config) error {
	if err := d.config.Pinned().Moved(c.Pinned()); err != nil {
		return err
	}
	f, err := d.readFail2ban(c)
	if err != nil {
		return err
	}
	if err := movedAnchors(d.fail2ban, f); err != nil {
		return err
	}
	plan, err := d.makePlan(c, f)
	if err != nil {
		return err
	}
	if err := movedPorts(d.config, c, d.plan, plan); err != nil {
		return err
	}
	d.running.Store(false) // the new never-list is taken over as a whole, below
	defer d.running.Store(true)
	screen, list, err := d.newScreen(c, f)
	if err != nil {
		return err
	}
	web, err := d.o.Apart.web(c.Metrics.WebConfig)
	if err == nil && d.config.Metrics.Listen != "" {
		err = d.web.Fits(web)
	}
	if err != nil {
		return err
	}
	d.comeToRest(ctx)
	plan.Warden.OnEvent, plan.Warden.Read, plan.Warden.Log = d.event, d.readAt, d.log
	detector, err := d.sameDetector(plan.Detector)
	if err == nil {
		err = d.bans.Reload(plan.Warden)
	}
	if err != nil {
		d.startScreen(ctx)
		d.startSources(ctx) // goes on where they stopped
		return err
	}
	d.replaceSettings(ctx, settings{c, f, plan, detector, screen, list, web})
	d.startScreen(ctx)
	d.startSources(ctx)
	return nil
}

// comeToRest stops sources and screening stage. What they have handed over counts by the settings under which it was read, and for the detector
// that goes on.
func (d *Daemon) comeToRest(ctx context.Context) {
	d.notePositions()
	d.stopSources()
	d.drainSources()
	d.closeGap()
	d.stopScreen()
	d.screened()
	d.engine.Flush(d.now())
	d.commit(ctx)
}

// settings are a configuration that was accepted, and what was made of it.
type settings struct {
	config   *config.Config
	fail2ban *fail2ban.Running
	plan     *engine.Plan
	detector *detect.Detector
	screen   *screen.Screen
	never    *screen.List
	web      *metrics.Web
}

// replaceSettings replaces the settings of a daemon that is at rest. Nothing of it fails.
func (d *Daemon) replaceSettings(ctx context.Context, s settings) {
	d.mu.Lock()
	d.config, d.plan, d.fail2ban = s.config, s.plan, s.fail2ban
	d.mu.Unlock()
	d.web.Replace(s.web)
	d.mark(true)
	d.hooks.Update(d.hookJails(s.fail2ban), d.liveStories(ctx))
	d.openNotices(s.fail2ban)
	d.detector = s.detector
	old, waiting := d.neverList, d.screen.Waiting()
	d.mu.Lock()
	d.screen, d.neverList = s.screen, s.never
	d.mu.Unlock()
	d.screen.Refresh(ctx)
	d.screen.Again(waiting)
	d.replaceNever(s.never, old)
	d.backlog = false
	if err := d.join(s.plan); err != nil {
		d.log.Error("the journal ends here", "error", err)
		d.o.Journal, d.journal = nil, nil
		_ = d.join(s.plan) // fails for the journal only
	}
}

// closeGap has the pflog file fill only what the interface has not given by now. It is called when the sources are stopped and drained.
func (d *Daemon) closeGap() {
	if d.liveAt.After(d.gapFrom) {
		d.gapFrom = d.liveAt
	}
}

// sameDetector makes a detector for new settings that knows all that the present one does.
func (d *Daemon) sameDetector(c detect.Config) (*detect.Detector, error) {
	var b bytes.Buffer
	if err := d.detector.Snapshot(&b); err != nil {
		return nil, err
	}
	detector, err := detect.New(c)
	if err != nil {
		return nil, err
	}
	if err := detector.Restore(&b, time.Time{}); err != nil {
		return nil, errors.Join(errors.New("handing suspicion over to the new settings"), err)
	}
	return detector, nil
}

// drainSources deals with what the stopped sources had handed over.
func (d *Daemon) drainSources() {
	for {
		select {
		case p := <-d.packets:
			d.packet(&p)
		case batch := <-d.lines:
			d.batch(batch)
		default:
			return
		}
	}
}
