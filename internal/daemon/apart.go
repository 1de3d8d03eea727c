package daemon

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/hooks"
	"pfwarden/internal/metrics"
)

// Apart is what a daemon gets from a privileged process instead of opening it itself. A nil Apart means that it has its own rights.
type Apart struct {
	Files         *capture.Files         // the logs and the pflog file
	OpenInterface pflog.Opener           // the pflog interface
	Control       *net.UnixListener      // nil = none
	Metrics       net.Listener           // nil = none
	Web           *metrics.Web           // of metrics.web_config, read likewise; nil = none
	Fail2ban      *fail2ban.Running      // nil = none; read before the rights were given up
	Rules         string                 // of pf.rules_file, likewise
	Hooks         *hooks.Remote          // runs commands; nil = there are none to run
	MayRead       func(path string) bool // whether a log is one that the privileged process opens
	Root          string                 // where this process's / lies for all others; "" = there

	// GuardNever has the privileged process keep prefixes from bans until its configuration is read again, or awhile, and tells which got no answer;
	// nil = it cannot.
	GuardNever func(list []netip.Prefix, awhile bool) (untold []netip.Prefix, err error)

	// How this worker follows another, and is followed, at a reload.
	Succeeds   string                                     // the one that it follows; "" = none
	Succession func() (id string, keep map[string]string) // the one that follows it, "" = none, and the actions that it has, too
	Handover   string                                     // a file for what is left to the next; "" = nothing is

	Faults map[string]string // health items that are red from the start, such as a worker that had to be started again
}

// outside gives a path of this process as people find it.
func (a *Apart) outside(path string) string {
	if a == nil {
		return path
	}
	return filepath.Join(a.Root, path)
}

func (a *Apart) remote() *hooks.Remote {
	if a == nil {
		return nil
	}
	return a.Hooks
}

func (a *Apart) succession() (id string, keep map[string]string) {
	if a == nil || a.Succession == nil {
		return "", nil
	}
	return a.Succession()
}

func (a *Apart) files() *capture.Files {
	if a == nil {
		return nil
	}
	return a.Files
}

func (a *Apart) glob() func(string) ([]string, error) {
	if a == nil {
		return nil
	}
	return a.Files.Glob
}

func (a *Apart) opener() pflog.Opener {
	if a == nil {
		return nil
	}
	return a.OpenInterface
}

func (a *Apart) readFile(path string) ([]byte, error) {
	if a == nil {
		return os.ReadFile(path)
	}
	return []byte(a.Rules), nil
}

// fail2ban gives the set-up with what was laid over it at run time.
func (a *Apart) fail2ban(c *config.Config, over []override) (*fail2ban.Running, error) {
	if a == nil {
		return readFail2banFolder(c, ownAddresses(), over)
	}
	if len(over) == 0 || a.Fail2ban == nil {
		return a.Fail2ban, nil
	}
	setup := a.Fail2ban.Setup.Clone()
	overlay(setup, over)
	o := runOptions(c, ownAddresses())
	o.ReadFile = func(path string) ([]byte, error) { return a.Fail2ban.Read[path], nil }
	return setup.Compile(o), nil
}

func (a *Apart) listenControl(path, group string) (*net.UnixListener, error) {
	if a == nil {
		return control.Listen(path, group)
	}
	return a.Control, nil
}

func (a *Apart) listenMetrics(ctx context.Context, address string) (net.Listener, error) {
	if a == nil {
		return metrics.Listen(ctx, address)
	}
	return metrics.Bounded(a.Metrics), nil
}

func (a *Apart) web(path string) (*metrics.Web, error) {
	if a == nil {
		return metrics.LoadWeb(path, nil)
	}
	return a.Web, nil
}

func (a *Apart) faults() map[string]string {
	if a == nil {
		return nil
	}
	return a.Faults
}
