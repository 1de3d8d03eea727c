// Package daemon is pfwarden running: it opens the sources, lets one goroutine lead their records through the engine, keeps PF, ledger
// and snapshots up to date, and answers the control socket and Prometheus. What it decides, the engine's parts decide.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
	"pfwarden/detect/probe"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/hooks"
	"pfwarden/internal/ledger"
	"pfwarden/internal/metrics"
	"pfwarden/internal/screen"
	"pfwarden/internal/warden"
	"pfwarden/pfctl"
)

// Options are what a daemon is made of besides its configuration.
type Options struct {
	Config  *config.Config
	Load    func() (*config.Config, error) // reads the configuration again, for Reload
	Runner  pfctl.Runner                   // how pfctl(8) is run, or PF in memory
	Reader  pfctl.Runner                   // for what only reads, so that a long reading holds up no ban; nil = Runner
	Log     *slog.Logger
	Level   *slog.LevelVar // of Log, where fail2ban's clients may set it; nil = they may not
	Version string
	Capture string // how packets are captured, for build info

	Now func() time.Time // nil = time.Now
	// Steady is a clock that nobody sets, since any moment; by it steps of Now are noticed. nil = the machine's monotonic clock, or, where Now is given,
	// none.
	Steady func() time.Duration
	Tick   time.Duration // how often bans are ended and the detector forgets; 0 = 1 s

	States time.Duration // how often PF's states are read; 0 = 3 min

	Resolver screen.Resolver // of names in logs and in the never-list; nil = the system's

	Open    func(path string) (*os.File, error) // nil = the file system
	Journal io.Writer                           // flight recorder; nil = none
	Watch   []string                            // interfaces, instead of the configuration's; nil = work them out
	Apart   *Apart                              // what a privileged process opens for this one; nil = there is none
}

// Daemon is one run of pfwarden. Make one with New, let it work with Run.
type Daemon struct {
	o       Options
	log     *slog.Logger
	started time.Time
	clock   stepClock // used by the engine's goroutine only

	store     ledger.Store
	db        *ledger.DB // the same, or nil
	widening  chan error // tells what came of an attempt to go over to ordinary use of it; nil = there is none
	adopt     bool       // the ledger was lost: what PF holds is ours
	replaced  int        // how often it was replaced while it was used, as far as that was told
	never     *warden.NeverList
	screen    *screen.Screen
	neverList *screen.List // its configured part and this machine's own
	share     *neverShare  // tells the privileged process of it; nil = there is none
	running   atomic.Bool
	bans      *warden.Warden
	driver    *pfctl.Driver
	pf        warden.Driver // what the warden tells: all drivers, with its own names for their tables
	runner    pfctl.Runner  // as in Options, measured
	reader    pfctl.Runner
	rules     string // the administrator's own for our anchor; "" = the default ones
	hooks     *hooks.Hooks
	quit      context.CancelFunc      // ends Run in order; d.mu guards it
	before    map[string]hooks.Counts // what was counted of fail2ban's jails before they were started anew; d.mu guards it
	failing   map[string]failing      // of fail2ban's jails, for their actions; d.mu guards it
	overrides []override              // of fail2ban's jails, set at run time; used by the engine's goroutine only
	work      context.Context         // of what is started while running
	telling   sync.Mutex              // guards notices
	notices   notices                 // nil: nobody reads them
	farewells sync.WaitGroup          // of those that were replaced
	anchors   []anchor                // of PF beside our own, that fail2ban's jails fill
	metrics   *metrics.Metrics
	web       *metrics.Web // of metrics.web_config, as it was at the start; nil = none
	watcher   *watcher
	detector  *detect.Detector // used by the engine's goroutine only
	journal   *detect.Journal
	engine    *engine.Engine
	seed      uint64

	packets chan packet
	taken   []packet // of them, by the engine's goroutine
	lines   chan []capture.Line
	asks    chan func(now time.Time)
	nevers  chan func(now time.Time) // changes of the never-list, which the screening stage waits for
	hup     chan struct{}

	stopping chan struct{} // closed when nobody is served any more

	positions map[string]capture.Position // after the last line dealt with
	pflogAt   capture.Position
	caughtUp  bool
	backlog   bool      // there may be old lines to read
	saved     time.Time // when the last snapshot was taken
	gapFrom   time.Time // packets of the interface up to here were dealt with before it was opened
	liveAt    time.Time // of the newest packet of the interface that was dealt with
	read      time.Time // when the record being dealt with was read

	stopScreen func()
	commits    committer

	mu       sync.Mutex // guards what follows
	config   *config.Config
	plan     *engine.Plan
	fail2ban *fail2ban.Running // nil: none
	watch    []string
	sources  sources
	faults   map[string]string // health items that are not as they should be, by name
	state    metrics.State
	stats    detect.Stats
	guesses  []detect.Guess // distributed guessing of the last 24 hours
	reload   error

	suspected   int // sources with half of what judges them or more
	suspectedAt time.Time
}

// Bounds of what waits between the sources and the engine.
const (
	packetQueue = 4096
	lineQueue   = 64   // batches: what one read of one file gave
	drain       = 1024 // packets dealt with before a commit
	moreBatches = 3    // batches of lines, beyond the first
)

// New reads the ledger and sets everything up. PF is not touched and nothing is opened for reading before Run.
func New(ctx context.Context, o Options) (*Daemon, error) {
	if o.Now == nil {
		o.Now = time.Now
		if began := time.Now(); o.Steady == nil {
			o.Steady = func() time.Duration { return time.Since(began) }
		}
	}
	if o.Tick <= 0 {
		o.Tick = time.Second
	}
	d := &Daemon{
		o: o, log: o.Log, config: o.Config, started: o.Now(), clock: stepClock{now: o.Now, steady: o.Steady}, never: &warden.NeverList{},
		packets: make(chan packet, packetQueue), lines: make(chan []capture.Line, lineQueue),
		asks: make(chan func(time.Time)), nevers: make(chan func(time.Time)), hup: make(chan struct{}, 1), stopping: make(chan struct{}),
		positions: make(map[string]capture.Position), faults: make(map[string]string),
	}
	if err := d.openStore(); err != nil {
		return nil, err
	}
	if err := d.setUp(ctx); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	return d, nil
}

func (d *Daemon) setUp(ctx context.Context) error {
	c := d.config
	d.metrics = metrics.New(metrics.Options{Version: d.o.Version, Capture: d.o.Capture, Addresses: c.Metrics.Addresses, Runtime: true})
	d.watcher = newWatcher(d.metrics)
	d.watcher.now, d.watcher.observe = d.o.Now, c.Observe
	d.setRunners()
	d.readRules(c)
	var err error
	f, err := d.readFail2ban(c)
	if err != nil {
		return err
	}
	if d.screen, d.neverList, err = d.newScreen(c, f); err != nil {
		return err
	}
	d.screen.Refresh(ctx)
	seed, err := newSeed()
	if err != nil {
		return err
	}
	d.seed = seed
	plan, err := d.makePlan(c, f)
	if plan == nil || len(plan.Jails) == 0 && err != nil {
		return err
	}
	if err != nil {
		d.fault("jails", err.Error())
	}
	d.plan, d.fail2ban = plan, f
	d.backlog = f != nil // its logs are read from their beginning the first time
	driver, err := pfctl.New(d.driverConfig(c), d.runner, d.log.With("part", "pfctl"), clock{d.o.Now})
	if err != nil {
		return err
	}
	d.driver = driver
	if d.anchors, err = d.newAnchors(f); err != nil {
		return err
	}
	d.pf = warden.Driver{Tables: router{d}, Banned: c.PF.Banned, Suspects: c.PF.Suspects}
	d.hooks = d.newHooks(f)
	d.openNotices(f)
	plan.Warden.OnEvent, plan.Warden.Read, plan.Warden.Log = d.event, d.readAt, d.log
	if d.bans, err = d.newWarden(ctx, plan.Warden); err != nil {
		return err
	}
	if d.detector, err = detect.New(plan.Detector); err != nil {
		return fmt.Errorf("setting up the detector: %w", err)
	}
	if err := d.restore(ctx); err != nil {
		return err
	}
	d.clockAtStart()
	return d.join(plan)
}

// join makes the engine of the parts.
func (d *Daemon) join(plan *engine.Plan) error {
	var front engine.Detector = d.detector
	d.flushJournal() // before another goes on in the same file
	if d.o.Journal != nil {
		journal, err := detect.NewJournal(d.o.Journal, d.detector)
		if err != nil {
			return err
		}
		d.journal, front = journal, journal
	}
	d.watcher.classifier = probe.New(plan.Probe)
	d.engine = engine.New(engine.Options{
		Detector: front, Classifier: d.watcher.classifier, Warden: d.bans, Jails: plan.Jails,
		Candidates: d.screen, Watchers: []engine.Watcher{d.watcher},
	})
	phase := filter.Operation
	if d.backlog && !d.caughtUp {
		phase = filter.CatchUp
	}
	d.engine.SetPhase(phase)
	return nil
}

func (d *Daemon) makePlan(c *config.Config, f *fail2ban.Running) (*engine.Plan, error) {
	own := ownAddresses()
	watch := d.o.Watch
	if watch == nil {
		watch = d.interfaces(c)
	}
	d.watch = watch
	plan, err := engine.NewPlan(c, engine.PlanOptions{
		Filters: builtin.Lookup, Jails: ownJails(c, f, d.o.Apart.glob()), Own: own, Never: d.never, Watch: watch, Seed: d.seed, Rules: d.rules,
	})
	if plan != nil {
		extend(plan, f)
	}
	return plan, err
}

// Run works until ctx is done and then stops in order: sources, engine, snapshot, PF, ledger.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.store.Close()
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	d.work = work
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	d.mu.Lock()
	d.quit = quit
	d.mu.Unlock()
	ready := make(chan struct{})
	d.share = d.shareNever()
	closeServers, err := d.serve(work, ready) // fails before PF is touched if another daemon is running
	if err != nil {
		return err
	}
	defer closeServers()
	var parts sync.WaitGroup
	parts.Go(func() { d.hooks.Run(work) })
	d.inherit()
	d.mark(true)
	d.hooks.Start(d.liveStories(work))
	if err := d.startPF(work); err != nil {
		d.log.Error("pf is not as it should be; bans are kept and tried again", "error", err)
	}
	for _, driver := range d.drivers() {
		parts.Go(func() { _ = driver.Run(work) })
	}
	if d.share != nil {
		parts.Go(func() { d.share.run(work) })
	}
	parts.Go(func() { d.readCounters(work) })
	if d.config.Portscan.Enabled {
		parts.Go(func() { d.readStates(work) })
	}
	d.running.Store(true)
	d.startCommits(work)
	d.startScreen(work)
	d.startSources(work)
	parts.Go(func() {
		// Whoever is answered may rely on it that what is logged from then on is read.
		d.awaitStart(work)
		close(ready)
	})
	d.log.Info("pfwarden watches", "version", d.o.Version, "backend", d.config.PF.Backend, "jails", len(d.plan.Jails), "interfaces", d.watch, "bans", d.bans.Len())
	d.loop(ctx, work)

	close(d.stopping)
	d.stopSources()
	d.stopScreen()
	d.stopCommits()
	d.finish(work)
	closeServers()
	if err := d.each(func(x *pfctl.Driver) error { return x.Sync(limited(work, 10*time.Second)) }); err != nil {
		d.log.Warn("pf does not yet hold what it should; that is made good at the next start", "error", err)
	}
	d.stopActions(work)
	stop()
	parts.Wait()
	end := (*pfctl.Driver).Stop
	if id, _ := d.o.Apart.succession(); id != "" {
		end = (*pfctl.Driver).Leave
	}
	if err := d.each(func(x *pfctl.Driver) error { return end(x, limited(context.WithoutCancel(ctx), 30*time.Second)) }); err != nil {
		d.log.Warn("stopping pf's tables", "error", err)
	}
	d.log.Info("pfwarden stopped", "bans", d.bans.Len())
	return nil
}

// limited gives a context that ends by itself after a while.
func limited(ctx context.Context, t time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, t)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// startScreen lets the screening stage work until stopScreen.
func (d *Daemon) startScreen(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	s := d.screen
	go func() {
		defer close(ended)
		_ = s.Run(ctx)
	}()
	d.stopScreen = func() {
		cancel()
		// It may wait for the engine to take a change of the never-list. Nobody else is served: whoever asks may want the
		// configuration taken over, which may be what stops the stage.
		for {
			select {
			case <-ended:
				return
			case f := <-d.nevers:
				f(d.now())
			}
		}
	}
}

// Reload reads the configuration again, soon, and compares PF's tables with what they should hold.
func (d *Daemon) Reload() {
	select {
	case d.hup <- struct{}{}:
	default:
	}
}

// settings is the configuration in force. The engine's goroutine, which alone replaces it, reads d.config; all others ask here.
func (d *Daemon) settings() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// fault sets a health item to red, or, with an empty text, to green.
func (d *Daemon) fault(item, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if text == "" {
		delete(d.faults, item)
	} else {
		d.faults[item] = text
	}
}

// clock gives the driver the daemon's time.
type clock struct{ now func() time.Time }

func (c clock) Now() time.Time                         { return c.now() }
func (c clock) After(d time.Duration) <-chan time.Time { return time.After(d) }
