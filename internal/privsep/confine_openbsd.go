package privsep

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"golang.org/x/sys/unix"
)

// apply leaves a process what a policy names, for good. What is not there needs not be seen: unveil(2) takes a name in a folder that exists, and
// says ENOENT for others.
func (p Policy) apply() error {
	for _, v := range p.Visible {
		if err := unix.Unveil(v.Path, v.Rights); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("unveil %s %s: %w", v.Path, v.Rights, err)
		}
	}
	if err := unix.UnveilBlock(); err != nil {
		return fmt.Errorf("unveil: %w", err)
	}
	if err := unix.PledgePromises(p.Promises); err != nil {
		return fmt.Errorf("pledge %q: %w", p.Promises, err)
	}
	return nil
}

func forbid() error { return nil }

func noNewPrivileges() error { return nil } // pledge(2) without exec

// confine leaves a worker what workerPolicy says.
func confine(n WorkerNeeds) error { return workerPolicy(n).apply() }

// confineGuard leaves the privileged process what guardPolicy says.
func confineGuard(g *Guard, n GuardNeeds, log *slog.Logger) error {
	folders, err := g.Narrow()
	if err != nil {
		log.Warn("some folders are not seen from now on", "error", err)
	}
	return guardPolicy(g.settings.Load(), n, folders).apply()
}

// confineHooks leaves the process that runs commands what hooksPolicy says.
func confineHooks(log string) error { return hooksPolicy(log).apply() }
