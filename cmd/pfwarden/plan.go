package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"pfwarden/capture/logtail"
	"pfwarden/internal/config"
	"pfwarden/internal/daemon"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/metrics"
	"pfwarden/internal/privsep"
)

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
	Stdin    bool              // a jail reads standard input
	Hooks    bool              // there are commands for a process of their own
	Actions  map[string]string // digests of the actions, by jail/action
	Pinned   config.Pinned
}

// keeps are the actions that are the same in another plan.
func (p *plan) keeps(o *plan) map[string]string {
	keep := make(map[string]string)
	for name, digest := range p.Actions {
		if o.Actions[name] == digest {
			keep[name] = digest
		}
	}
	return keep
}

// moved tells what another plan changes that a reload cannot; nil if nothing. Another worker takes over the rest.
func (p *plan) moved(o *plan) error {
	return p.Pinned.Moved(o.Pinned, "pf.pfctl", "pf.backend", "pf.anchor", "pf.banned", "pf.suspects", "store.file", "control.socket", "control.group",
		"metrics.listen", "log.level", "log.target", "log.format")
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
			p, x, err := makePlan(c, flags.user)
			if err != nil {
				return err
			}
			if err := safePaths(c, x, flags.journal, p.UID); err != nil {
				return err
			}
			return json.NewEncoder(streams.Out).Encode(p)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&flags.journal, "journal", "", "the journal of run")
	return cmd
}

// references is what a configuration refers to.
type references struct {
	fail2ban *fail2ban.Running // nil = none
	rules    string            // of pf.rules_file
	web      *metrics.Web      // of metrics.web_config; nil = none
}

func makePlan(c *config.Config, userName string) (*plan, *references, error) {
	if err := daemon.Absolute(c); err != nil {
		return nil, nil, err
	}
	p := &plan{
		Alone: c.PF.Backend != "pfctl", Log: c.Log, Pinned: c.Pinned(), Socket: c.Control.Socket, Group: c.Control.Group, Metrics: c.Metrics.Listen,
		Settings: privsep.Settings{Pfctl: c.PF.Pfctl, Env: standInEnv(os.Environ()), NeverDefaults: c.NeverDefaults},
	}
	if c.Store.File != ":memory:" {
		p.Store = c.Store.File
	}
	for i := range c.Jails {
		p.Stdin = p.Stdin || c.Jails[i].Enabled && slices.Contains(c.Jails[i].Logs, logtail.Stdin)
	}
	x, err := readReferences(c)
	if err != nil {
		return nil, nil, err
	}
	p.Hooks, p.Actions = !daemon.Commands(x.fail2ban).Empty(), daemon.ActionDigests(x.fail2ban)
	needs, err := daemon.NeedsOf(c, x.fail2ban, x.rules)
	if len(needs.Anchors) == 0 {
		return nil, nil, err
	}
	p.Settings.Files, p.Settings.Lists = needs.Files, needs.Lists
	for _, a := range needs.Anchors {
		p.Settings.Anchors = append(p.Settings.Anchors, privsep.NewAnchor(a))
	}
	p.Settings.Never, _ = c.NeverList()
	if c.Portscan.Enabled {
		p.Settings.Interface, p.Settings.Snaplen = c.Pflog.Interface, c.Pflog.Snaplen
	}
	if p.Alone {
		return p, x, nil
	}
	if p.UID, p.GID, p.Note, err = workerUser(userName); err != nil {
		return nil, nil, err
	}
	return p, x, p.Settings.Validate()
}

func readReferences(c *config.Config) (x *references, err error) {
	x = &references{}
	if c.Fail2ban != "" {
		if x.fail2ban, err = daemon.ReadFail2ban(c, ownAddresses()); err != nil {
			return nil, fmt.Errorf("fail2ban folder %s: %w", c.Fail2ban, err)
		}
	}
	if x.web, err = loadWeb(c); err != nil {
		return nil, err
	}
	if x.rules, err = daemon.RulesOf(c); err != nil {
		x.rules = "" // the worker says so, and uses the default rules
	}
	return x, nil
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

// askPlan has another process read the configuration.
func askPlan(ctx context.Context, program string, cmd *cobra.Command, flags *runFlags, errs io.Writer) (*plan, error) {
	args, err := flags.args(cmd, "plan")
	if err != nil {
		return nil, err
	}
	if flags.journal != "" {
		args = append(args, "--journal", flags.journal)
	}
	out, err := privsep.Ask(ctx, program, args, errs)
	if err != nil {
		return nil, silently(err)
	}
	var p plan
	if err := json.Unmarshal(out, &p); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return &p, nil
}
