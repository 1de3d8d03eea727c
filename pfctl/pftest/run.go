package pftest

import (
	"context"
	"fmt"
	"strings"

	"pfwarden/pfctl"
)

// Run answers one pfctl(8) command. It returns an error where the process would not have ended by itself: a fault killed it, or it
// waits in the kernel until ctx is done.
func (pf *PF) Run(ctx context.Context, cmd pfctl.Command) (pfctl.Result, error) {
	for {
		if err := ctx.Err(); err != nil {
			return pfctl.Result{}, fmt.Errorf("pf in memory: %w", err)
		}
		pf.mu.Lock()
		res, err := pf.run(cmd)
		changed := pf.changed
		pf.mu.Unlock()
		switch err {
		case nil:
			return res, nil
		case errWait, errHang:
			if err == errHang {
				changed = nil
			}
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return pfctl.Result{}, fmt.Errorf("pf in memory: %w", pfctl.ErrStuck)
			}
		default:
			return res, err
		}
	}
}

// run does one command under the lock. errWait asks to be run again once something has changed; nothing was changed then.
func (pf *PF) run(cmd pfctl.Command) (pfctl.Result, error) {
	pf.purge()
	c := &call{pf: pf, stdin: cmd.Stdin}
	killed, err := pf.faultsBefore(c, cmd)
	if err == nil {
		err = c.main(cmd.Args)
	}
	exit := 0
	if e, ok := err.(exitError); ok {
		exit = int(e)
	} else if err != nil {
		return pfctl.Result{}, err
	}
	if killed {
		return pfctl.Result{}, fmt.Errorf("pf in memory: %w", pfctl.ErrKilled)
	}
	return pfctl.Result{Stdout: c.out.Bytes(), Stderr: c.err.Bytes(), Exit: exit}, nil
}

// main is pfctl's main: options, device, then its actions in its order: -d, -s, -z, -F, -k, -K, -T, -f, -e.
func (c *call) main(args []string) error {
	if err := c.parse(args); err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	o := &c.o
	if c.pf.prof.AltqNoise && !o.dry && (o.verbose > 0 || c.pf.prof.AltqAlways) {
		c.err.WriteString("No ALTQ support in kernel\nALTQ related functions disabled\n")
	}
	if c.pf.prof.FlushNoise && o.fileSet && !o.cmdSet {
		c.err.WriteString("pfctl: Use of -f option, could result in flushing of rules\npresent in the main ruleset added by the system at startup.\nSee /etc/pf.conf for further details.\n\n")
	}
	failed := error(nil)
	keep := func(err error) {
		if err != nil && failed == nil {
			failed = err
		}
	}
	if o.disable && !o.dry {
		keep(c.disable())
	}
	if o.showSet && !o.dry {
		if err := c.show(); err != nil {
			return err
		}
	}
	if o.zero && !o.dry {
		c.zeroRules()
	}
	if o.flushSet && !o.dry {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if len(o.kill) > 0 {
		if err := c.killStates(); err != nil {
			return err
		}
	}
	if len(o.killNodes) > 0 {
		if err := c.killNodes(); err != nil {
			return err
		}
	}
	switch {
	case o.cmdSet && o.cmd == "load":
		keep(c.load(true))
	case o.cmdSet && o.tableSet:
		keep(c.table())
	case o.fileSet:
		keep(c.load(false))
	}
	if o.enable && !o.dry {
		keep(c.enable())
	}
	if o.debugLevel != "" && !o.dry {
		c.note("debug level set to '%s'", o.debugLevel)
	}
	if failed == nil && c.failed != 0 {
		failed = exitError(c.failed)
	}
	return failed
}

// open is the opening of /dev/pf. With -n it may fail.
func (c *call) open() error {
	errno, device := c.pf.faults[FaultOpen], "/dev/pf"
	if c.pf.openErrno != 0 {
		errno = c.pf.openErrno
	}
	if c.o.device != "" {
		device = c.o.device
		if device != "/dev/pf" {
			errno = 2
		}
	}
	if c.pf.faults[FaultNotRoot] != 0 {
		errno = 13
	}
	if c.o.dry {
		c.dummy = errno == 0
		return nil
	}
	if errno != 0 {
		c.warn("%s: %s", device, strerror(errno))
		return exitError(1)
	}
	return nil
}

func strerror(n int) string {
	switch n {
	case 1:
		return "Operation not permitted"
	case 2:
		return "No such file or directory"
	case 5:
		return "Input/output error"
	case 6:
		return "Device not configured"
	case 12:
		return "Cannot allocate memory"
	case 13:
		return "Permission denied"
	case 16:
		return "Device busy"
	case 22:
		return "Invalid argument"
	case 24:
		return "Too many open files"
	}
	return fmt.Sprintf("Unknown error: %d", n)
}

// secure says whether the securelevel forbids what is more than changing addresses: 2 on OpenBSD, 3 elsewhere.
func (pf *PF) secure() bool {
	if pf.prof.OpenBSD {
		return pf.securelevel >= 2
	}
	return pf.securelevel >= 3
}

func (c *call) disable() error {
	pf := c.pf
	switch {
	case pf.secure():
		c.warn("DIOCSTOP: Operation not permitted")
		return exitError(1)
	case !pf.enabled:
		c.warn("pf not enabled")
		return exitError(1)
	}
	pf.enabled, pf.statusSince = false, pf.now().UnixNano()
	c.note("pf disabled")
	return nil
}

func (c *call) enable() error {
	pf := c.pf
	switch {
	case pf.secure():
		c.warn("DIOCSTART: Operation not permitted")
		return exitError(1)
	case pf.enabled:
		c.warn("pf already enabled")
		return exitError(1)
	}
	pf.enabled, pf.statusSince = true, pf.now().UnixNano()
	c.note("pf enabled")
	return nil
}

// noAnchor prints that an anchor does not exist.
func (c *call) noAnchor() {
	if c.pf.prof.OpenBSD {
		c.warn("%s", c.pf.prof.dot("Anchor does not exist"))
		return
	}
	c.warn("%s", c.pf.prof.dot("Anchor or Ruleset does not exist"))
}

func trimAnchor(s string) string { return strings.TrimSuffix(s, "/") }
