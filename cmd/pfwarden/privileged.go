package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/capture/pflog"
	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/daemon"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/metrics"
	"pfwarden/internal/privsep"
	"pfwarden/internal/screen"
)

// runFlags are the flags of run and of the processes that it starts.
type runFlags struct {
	set     []string
	journal string
	folder  string // of fail2ban
	user    string // the worker's
	one     bool
}

func (r *runFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&r.set, "set", nil, "override a `key=value` of the configuration, as in jail.sshd.maxretry=3 (may be repeated)")
	flags.StringVar(&r.folder, "fail2ban", "", "run the jails of this fail2ban `folder` too, as they are")
	flags.StringVar(&r.user, "user", "", "`name` of the user that the unprivileged process runs as (default _pfwarden, or nobody if there is none)")
}

// load reads the configuration.
func (r *runFlags) load(cmd *cobra.Command) (*config.Config, error) {
	c, err := loadConfig(cmd, r.set)
	if err == nil && r.folder != "" {
		c.Fail2ban = r.folder
	}
	return c, err
}

// args are the same flags for another process.
func (r *runFlags) args(cmd *cobra.Command, verb string) ([]string, error) {
	args := []string{verb}
	if cmd.Flags().Changed("config") {
		path, err := filepath.Abs(commonOf(cmd).Config)
		if err != nil {
			return nil, err
		}
		args = append(args, "--config", path)
	}
	for _, s := range r.set {
		args = append(args, "--set", s)
	}
	for name, v := range map[string]string{"--fail2ban": r.folder, "--user": r.user} {
		if v != "" {
			args = append(args, name, v)
		}
	}
	return args, nil
}

// plan is what the privileged process knows of the configuration.
type plan struct {
	Settings privsep.Settings
	Alone    bool // one process is enough: PF is in memory
	Log      config.Log
	UID, GID int
	Note     string // about the user
	Store    string // the ledger's file; "" = none
	Socket   string
	Group    string
	Metrics  string
}

// fixed lists what a reload cannot change.
func (p *plan) fixed(o *plan) []string {
	var keys []string
	for _, k := range []struct {
		name string
		same bool
	}{
		{"pf.pfctl", p.Settings.Pfctl == o.Settings.Pfctl}, {"pf.backend", p.Alone == o.Alone}, {"store.file", p.Store == o.Store},
		{"control.socket", p.Socket == o.Socket}, {"control.group", p.Group == o.Group}, {"metrics.listen", p.Metrics == o.Metrics},
		{"log", p.Log == o.Log}, {"pf.anchor", p.Settings.Anchors[0].Path == o.Settings.Anchors[0].Path},
		{"pf.banned, pf.suspects", slices.Equal(p.Settings.Anchors[0].Tables[:1], o.Settings.Anchors[0].Tables[:1])},
	} {
		if !k.same {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// newPlanCommand is what run asks in a process of its own, so that the privileged one stays small.
func newPlanCommand(streams stdio) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use: "plan", Hidden: true, Args: nArgs(cobra.NoArgs),
		Short: "say what the privileged process of run may do",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.load(cmd)
			if err != nil {
				return err
			}
			p, err := makePlan(c, flags.user)
			if err != nil {
				return err
			}
			return json.NewEncoder(streams.Out).Encode(p)
		},
	}
	flags.add(cmd)
	return cmd
}

func makePlan(c *config.Config, userName string) (*plan, error) {
	if err := daemon.Absolute(c); err != nil {
		return nil, err
	}
	p := &plan{
		Alone: c.PF.Backend != "pfctl", Log: c.Log, Socket: c.Control.Socket, Group: c.Control.Group, Metrics: c.Metrics.Listen,
		Settings: privsep.Settings{Pfctl: c.PF.Pfctl, Env: standInEnv(os.Environ()), NeverDefaults: c.NeverDefaults},
	}
	if c.Store.File != ":memory:" {
		p.Store = c.Store.File
	}
	f, rules, err := readAround(c)
	if err != nil {
		return nil, err
	}
	// fail2ban's actions and ignore commands are commands of root's, its client changes jails at run time: that is done as fail2ban does it.
	p.Alone = p.Alone || f != nil
	if f != nil && !p.Alone { // its actions and ignore commands are programs, its files are read again, its own log is written
		p.Alone = true
		p.Note = "with a fail2ban folder everything is done in one process, with the rights of who started it"
	}
	needs, err := daemon.NeedsOf(c, f, rules)
	if len(needs.Anchors) == 0 {
		return nil, err
	}
	p.Settings.Files = needs.Files
	for _, a := range needs.Anchors {
		p.Settings.Anchors = append(p.Settings.Anchors, privsep.NewAnchor(a))
	}
	p.Settings.Never, _ = c.NeverList()
	if c.Portscan.Enabled {
		p.Settings.Interface, p.Settings.Snaplen = c.Pflog.Interface, c.Pflog.Snaplen
	}
	if p.Alone {
		return p, nil
	}
	if p.UID, p.GID, p.Note, err = workerUser(userName); err != nil {
		return nil, err
	}
	return p, p.Settings.Validate()
}

// readAround reads what a configuration refers to.
func readAround(c *config.Config) (f *fail2ban.Running, rules string, err error) {
	if c.Fail2ban != "" {
		if f, err = daemon.ReadFail2ban(c, ownAddresses()); err != nil {
			return nil, "", fmt.Errorf("fail2ban folder %s: %w", c.Fail2ban, err)
		}
	}
	if rules, err = daemon.RulesOf(c); err != nil {
		rules = "" // the worker says so, and uses the default rules
	}
	return f, rules, nil
}

func ownAddresses() (own []netip.Addr) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap().WithZone(""))
		}
	}
	return own
}

// workerUser finds the user for the worker.
func workerUser(name string) (uid, gid int, note string, err error) {
	u, err := user.Lookup(name)
	if name == "" {
		u, err = user.Lookup("_pfwarden")
		if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
			note = "there is no user _pfwarden: the unprivileged process runs as nobody; better give it a user of its own"
			u, err = user.Lookup("nobody")
		}
	}
	if err != nil {
		return 0, 0, "", fmt.Errorf("user of the unprivileged process: %w; name one by --user", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, "", fmt.Errorf("user %s: %w", u.Username, err)
	}
	if uid == 0 || gid == 0 {
		return 0, 0, "", usagef("user %s has root's rights; name another one by --user", u.Username)
	}
	return uid, gid, note, nil
}

// runPrivileged keeps the small process with root's rights. done is false if the configuration needs no second process.
func runPrivileged(cmd *cobra.Command, flags *runFlags, streams stdio) (done bool, err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	p, err := askPlan(ctx, cmd, flags, streams.Err)
	if err != nil {
		return true, err
	}
	if p.Alone {
		if p.Note != "" {
			fmt.Fprintln(streams.Err, "pfwarden: "+p.Note)
		}
		return false, nil
	}
	w, isSyslog := logWriter(p.Log, streams.Err)
	log, err := logTo(p.Log, w, isSyslog, new(slog.LevelVar))
	if err != nil {
		return true, err
	}
	log = log.With("process", "privileged")
	if p.Note != "" {
		log.Warn(p.Note)
	}
	role := privsep.Role{UID: p.UID, GID: p.GID, Relay: isSyslog, Chroot: "/var/empty"}
	if p.Store != "" {
		note, err := privsep.PrepareStore(p.Store, p.UID, p.GID)
		if err != nil {
			return true, err
		}
		if note != "" {
			log.Warn(note)
		}
		role.Chroot = filepath.Dir(p.Store)
	}
	o := privsep.ParentOptions{Role: role, Env: workerEnv(), Stderr: w, Log: log, Idle: privsep.Shrink}
	if isSyslog {
		o.Stderr = &privsep.Lines{W: w}
	}
	closeAll, err := listen(ctx, p, &o)
	if err != nil {
		return true, err
	}
	defer closeAll()
	if flags.journal != "" {
		o.Journal = func(restart int) (*os.File, error) {
			path := flags.journal
			if restart > 0 { // what the worker before had seen is kept
				path += "." + strconv.Itoa(restart)
			}
			return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
		}
	}
	if o.Guard, err = privsep.NewGuard(privsep.GuardOptions{Settings: p.Settings, Log: log, Defaults: screen.System{}.Defaults}); err != nil {
		return true, err
	}
	if o.Args, err = flags.args(cmd, "worker"); err != nil {
		return true, err
	}
	o.Reload = func() error {
		fresh, err := askPlan(ctx, cmd, flags, streams.Err)
		if err != nil {
			return err
		}
		if keys := p.fixed(fresh); len(keys) > 0 {
			return fmt.Errorf("%s can only change with a restart", keys)
		}
		if err := o.Guard.Change(fresh.Settings); err != nil {
			return err
		}
		p = fresh
		return nil
	}
	o.Started = func(pid int) {
		log.Info("the worker runs", "pid", pid, "uid", p.UID, "chroot", role.Chroot)
		privsep.Shrink()
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	err = privsep.NewParent(o).Run(ctx, hup)
	return true, silently(err)
}

// silently makes the exit status of another process, which has said everything, ours.
func silently(err error) error {
	if exit := (*privsep.ExitError)(nil); errors.As(err, &exit) {
		return &statusError{exit}
	}
	return err
}

// statusError ends the program with the status of another process, without another word.
type statusError struct{ exit *privsep.ExitError }

func (e *statusError) Error() string { return e.exit.Error() }
func (e *statusError) Unwrap() error { return &silentError{e.exit} }

func askPlan(ctx context.Context, cmd *cobra.Command, flags *runFlags, errs io.Writer) (*plan, error) {
	args, err := flags.args(cmd, "plan")
	if err != nil {
		return nil, err
	}
	out, err := privsep.Ask(ctx, args, errs)
	if err != nil {
		return nil, silently(err)
	}
	var p plan
	if err := json.Unmarshal(out, &p); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return &p, nil
}

// listen opens the control socket and the metrics listener, for every worker to come. A daemon that was killed a moment ago may still
// hold them.
func listen(ctx context.Context, p *plan, o *privsep.ParentOptions) (closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			_ = f.Close()
		}
		if o.Control != nil {
			_ = control.Remove(p.Socket) // a socket that is left does no harm
		}
	}
	if p.Socket != "" {
		if o.Control, err = patiently(ctx, func() (*os.File, error) {
			l, err := control.Listen(p.Socket, p.Group)
			if err != nil {
				return nil, err
			}
			defer l.Close()
			return l.File()
		}); err != nil {
			return nil, err
		}
		files = append(files, o.Control)
	}
	if p.Metrics != "" {
		if o.Metrics, err = patiently(ctx, func() (*os.File, error) {
			l, err := metrics.ListenRaw(ctx, p.Metrics)
			if err != nil {
				return nil, err
			}
			defer l.Close()
			return l.File()
		}); err != nil {
			closeAll()
			return nil, fmt.Errorf("metrics: %w", err)
		}
		files = append(files, o.Metrics)
	}
	return closeAll, nil
}

// patiently tries again for two seconds what somebody else is about to let go of.
func patiently(ctx context.Context, open func() (*os.File, error)) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		f, err := open()
		if err == nil || !errors.Is(err, control.ErrInUse) && !errors.Is(err, syscall.EADDRINUSE) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// workerEnv keeps of the environment what a worker needs: the time zone, and who started us, who is never banned.
func workerEnv() (keep []string) {
	for _, name := range []string{"TZ", "SSH_CONNECTION", "SSH_CLIENT", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(name); ok {
			keep = append(keep, name+"="+v)
		}
	}
	return keep
}

// newWorkerCommand is the process without rights.
func newWorkerCommand(streams stdio) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use: "worker", Hidden: true, Args: nArgs(cobra.NoArgs),
		Short: "the unprivileged process of run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := privsep.Inherit()
			if err != nil {
				return usagef("%w", err)
			}
			c, err := flags.load(cmd)
			if err != nil {
				return err
			}
			return runWorker(cmd.Context(), c, &flags, in, streams)
		},
	}
	flags.add(cmd)
	return cmd
}

// runWorker reads what only root may read, gives up its rights, and is the daemon from then on.
func runWorker(ctx context.Context, c *config.Config, flags *runFlags, in *privsep.Inherited, streams stdio) error {
	p, err := makePlan(c, flags.user)
	if err != nil {
		return err
	}
	f, rules, err := readAround(c)
	if err != nil {
		return err
	}
	if f != nil {
		once, cancel := context.WithCancel(ctx)
		cancel() // files only: names are looked up once the rights are gone
		for _, l := range f.Lists {
			l.Refresh(once)
		}
	}
	level := new(slog.LevelVar)
	log, err := logTo(c.Log, streams.Err, in.Relay, level)
	if err != nil {
		return err
	}
	client, err := privsep.NewClient(in.Socket, &p.Settings)
	if err != nil {
		return err
	}
	_ = time.Local.String()           // reads the zone's file, now
	_ = time.Now().Local().Format("") // and all of it
	if err := in.Drop(dataLimit(c)); err != nil {
		return err
	}
	if p.Store != "" && in.Chroot != "" {
		c.Store.File = "/" + filepath.Base(p.Store)
	}
	go func() {
		<-client.Gone()
		log.Error("the privileged process is gone: the worker ends; pf's tables stay as they are")
		os.Exit(exitFailed)
	}()
	o := daemon.Options{
		Config: c, Log: log, Level: level, Version: version, Capture: pflog.CaptureKind(), Runner: client, Reader: client,
		Load: func() (*config.Config, error) {
			return nil, errors.New("refused; the privileged process has logged why")
		},
		Apart: &daemon.Apart{
			Files: client.Files(), OpenInterface: client.OpenInterface, Control: in.Control, Metrics: in.Metrics,
			Fail2ban: f, Rules: rules, Faults: map[string]string{},
		},
	}
	if in.Journal != nil {
		o.Journal = in.Journal
	}
	if in.Restarts > 0 {
		o.Apart.Faults["worker"] = fmt.Sprintf("the worker was started again %d times; the one before ended by: %s", in.Restarts, in.Last)
	}
	return runDaemon(ctx, o)
}

// dataLimit is the most memory that a worker may have: what the detector is told to hold, twice, and two gigabytes.
func dataLimit(c *config.Config) uint64 {
	return 2<<30 + 2*64*uint64(c.Portscan.TableSlots) //nolint:gosec // never negative
}

// logTo makes a logger of a writer; syslog adds the time itself. level is set to the configured one, and may be changed later.
func logTo(c config.Log, w io.Writer, withoutTimes bool, level *slog.LevelVar) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, usagef("log.level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if withoutTimes {
		o.ReplaceAttr = withoutTime
	}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
