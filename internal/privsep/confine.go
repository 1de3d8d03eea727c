package privsep

import (
	"fmt"
	"os"
)

// Confine gives up, for good, what the privileged process does not need for its requests, before it serves a worker: core dumps, and on OpenBSD
// (guardPolicy) the sight of most files and most system calls. What it starts is not confined by that.
func (g *Guard) Confine(n GuardNeeds) error {
	if err := limitPrivileged(); err != nil {
		return fmt.Errorf("privileged process: %w", err)
	}
	if err := confineGuard(g, n, g.log); err != nil {
		return fmt.Errorf("privileged process: %w", err)
	}
	return nil
}

// ConfineHooks takes from the process that runs commands what they do not need. log is fail2ban's log, which it writes; "" = none. It goes to /, where
// commands are run.
func ConfineHooks(log string) error {
	if err := limitHooks(); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return confineHooks(log)
}
