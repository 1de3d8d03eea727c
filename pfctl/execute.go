package pfctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
)

// exec runs pfctl once, counts it and turns its outcome into an error.
func (d *Driver) exec(ctx context.Context, what string, args []string, stdin []byte) (Result, error) {
	if d.cfg.Observe && !onlyReads(args) {
		return Result{}, fmt.Errorf("pfctl: %s: %w", what, ErrObserving)
	}
	runner, mu, kind := d.run, &d.runMu, changing
	if d.cfg.Reader != nil && onlyReads(args) {
		runner, mu, kind = d.read, &d.readMu, reading
	}
	mu.Lock()
	begin := d.clock.Now()
	d.mu.Lock()
	d.active[kind] = activeRun{what, begin}
	d.mu.Unlock()
	res, err := runner.Run(ctx, Command{Args: args, Stdin: stdin})
	took := d.clock.Now().Sub(begin)
	mu.Unlock()
	if err != nil {
		err = fmt.Errorf("pfctl: %s: %w", what, err)
	} else {
		err = check(what, res)
	}
	d.mu.Lock()
	d.stats.note(verbOf(args), took, err)
	d.active[kind] = activeRun{}
	switch {
	case errors.Is(err, ErrKilled) && !errors.Is(err, context.Canceled):
		d.probe.killed[kind] = err
	case err == nil:
		d.probe.killed[kind] = nil
	}
	switch {
	case errors.Is(err, ErrStuck):
		d.probe.stuck = err
	case err == nil:
		d.probe.stuck = nil
		d.probe.denied = nil
	case errors.Is(err, ErrNotPermitted), errors.Is(err, ErrNoPF):
		d.probe.denied = err
	}
	d.mu.Unlock()
	return res, err
}

// Kinds of runs.
const (
	changing = iota
	reading
)

// onlyReads says whether a run changes nothing in PF.
func onlyReads(args []string) bool {
	reads := false
	for i, a := range args {
		switch {
		case a == "-s", a == "-nf":
			reads = true
		case a == "-T" && i+1 < len(args):
			return args[i+1] == "show"
		case a == "-f", a == "-k":
			return false
		}
	}
	return reads
}

// fewer reads "n/m addresses added." and says whether not all went in.
func fewer(stderr []byte) bool {
	for l := range bytes.Lines(stderr) {
		count, ok := bytes.CutSuffix(bytes.TrimSpace(l), []byte(" addresses added."))
		if !ok {
			continue
		}
		n, m, ok := bytes.Cut(count, []byte{'/'})
		a, err1 := strconv.Atoi(string(n))
		b, err2 := strconv.Atoi(string(m))
		return ok && err1 == nil && err2 == nil && a < b
	}
	return false
}

// verbOf names a run for the statistics.
func verbOf(args []string) string {
	for i, a := range args {
		if i+1 >= len(args) {
			break
		}
		switch a {
		case "-T":
			return args[i+1]
		case "-k":
			return "kill-states"
		case "-s":
			return "show-" + args[i+1]
		case "-f", "-nf":
			if a == "-nf" {
				return "check-rules"
			}
			return "load"
		}
	}
	return "other"
}

func (d *Driver) tableArgs(t *tableState, rest ...string) []string {
	return d.anchorArgs(append([]string{"-t", t.name}, rest...)...)
}

func (d *Driver) anchorArgs(rest ...string) []string {
	if d.cfg.Anchor == "" {
		return rest
	}
	return append([]string{"-a", d.cfg.Anchor}, rest...)
}

// tableCreated reads from an add's standard error that the table did not exist before. OpenBSD does not say so of a table that a
// rule still names; there the next reconciliation finds out.
func tableCreated(stderr []byte) bool { return bytes.Contains(stderr, []byte("1 table created")) }
