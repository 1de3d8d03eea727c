// Package demo plays the bundled samples through the daemon's real path: it writes their records, at the time of day at which they came, into a
// pflog file and logs that grow, which a daemon with a PF in memory follows. One clock, as fast as asked for, drives both. What that PF blocks
// does not reach the servers any more, so the logs fall silent about banned addresses, as they do on a gateway.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/daemon"
	"pfwarden/internal/sample"
	"pfwarden/pfctl/pftest"
)

// Options of a demonstration.
type Options struct {
	Speed   float64 // how many times faster than life; 1 to 10000
	Days    int     // play the day this often, each time as the next day; 0 = until ctx is done
	Listen  string  // metrics; "" = off
	Socket  string  // control socket; "" = in Dir
	Dir     string  // for the files; "" = a temporary one, removed at the end
	Log     *slog.Logger
	Out     io.Writer // tells people what to do
	Version string
	Capture string
	Start   time.Time // the day to begin with, at midnight UTC; zero = the samples' own

	from time.Duration // begin the first day here
}

// step is how often, in real time, what is due is written.
const step = 50 * time.Millisecond

// Run plays until the days are over or ctx is done.
func Run(ctx context.Context, o Options) error {
	if o.Speed < 1 || o.Speed > 10000 {
		return fmt.Errorf("speed %v: expected 1 to 10000", o.Speed)
	}
	if o.Start.IsZero() {
		o.Start = sample.Date()
	}
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "pfwarden-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.Dir = dir
	}
	if o.Socket == "" {
		o.Socket = filepath.Join(o.Dir, "pfwarden.sock")
	}
	clock := clock{began: time.Now(), start: o.Start.Add(o.from), speed: o.Speed}
	c := demoConfig(o)
	pf, err := pftest.NewGateway("openbsd", c.PF.Anchor, pftest.WithClock(clock.now))
	if err != nil {
		return fmt.Errorf("setting up the PF in memory: %w", err)
	}
	p, err := newPlayer(o, pf, c)
	if err != nil {
		return err
	}
	defer p.close()
	d, err := daemon.New(ctx, daemon.Options{
		Config: c, Runner: pf, Log: o.Log, Version: o.Version, Capture: o.Capture, Now: clock.now,
		Tick: max(time.Duration(float64(time.Second)/o.Speed), 10*time.Millisecond), Watch: []string{sample.Interface},
	})
	if err != nil {
		return err
	}
	tell(o)
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	played := p.play(ctx, clock)
	stop()
	return errors.Join(played, <-ended)
}

// demoConfig is the default configuration, with everything in one folder.
func demoConfig(o Options) *config.Config {
	c := config.Default("openbsd")
	c.NeverDefaults = false
	c.PF.Backend = "memory"
	c.Pflog.Interface, c.Pflog.File = "", filepath.Join(o.Dir, "pflog")
	c.Store.File = ":memory:"
	c.Control.Socket, c.Control.Group = o.Socket, ""
	c.Metrics.Listen = o.Listen
	c.Never = sample.OwnNetworks()
	var jails []config.Jail
	for _, j := range c.Jails {
		switch {
		case j.Name == "sshd":
			j.Logs = []string{filepath.Join(o.Dir, sample.AuthLog)}
		case len(j.Name) > 6 && j.Name[:6] == "httpd-":
			j.Logs = []string{filepath.Join(o.Dir, sample.ErrorLog), filepath.Join(o.Dir, sample.AccessLog)}
		default:
			continue
		}
		j.Builtin = false
		jails = append(jails, j)
	}
	c.Jails = jails
	return c
}

func tell(o Options) {
	fmt.Fprintf(o.Out, "pfwarden plays one day of a gateway, %.0f times faster than it was: %v for a day. PF is in memory; nothing is changed on this machine.\n\n",
		o.Speed, (time.Duration(float64(24*time.Hour) / o.Speed)).Round(time.Second))
	if o.Listen != "" {
		fmt.Fprintf(o.Out, "  metrics   http://%s/metrics\n", o.Listen)
	}
	fmt.Fprintf(o.Out, "  ask it    pfwarden --socket %s status\n            pfwarden --socket %s bans\n\nCtrl-C ends it.\n\n", o.Socket, o.Socket)
}

// clock runs faster than the machine's.
type clock struct {
	began, start time.Time
	speed        float64
}

func (c clock) now() time.Time {
	return c.start.Add(time.Duration(float64(time.Since(c.began)) * c.speed))
}
