package privsep

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ConfineHooks leaves the process that runs commands its socket, /bin/sh, and fail2ban's log ("" = none). What it runs is confined by nothing
// of ours: those commands are the administrator's.
func ConfineHooks(log string) error {
	if err := limitHooks(); err != nil {
		return err
	}
	promises := "stdio proc exec rpath wpath"
	errs := []error{unix.Unveil("/bin/sh", "x"), unix.Unveil("/dev/null", "rw")}
	if log != "" {
		promises += " cpath"
		errs = append(errs, unix.Unveil(log, "rwc"))
	}
	errs = append(errs, unix.UnveilBlock(), unix.PledgePromises(promises))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("unveil and pledge: %w", err)
	}
	return nil
}
