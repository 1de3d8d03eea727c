package pfctl

import (
	"bytes"
	"fmt"
	"strings"
)

// defaultRequestMax is FreeBSD's net.pf.request_maxcount.
const defaultRequestMax = 65535

// RunError is a run of pfctl that ended badly. Kind is one of the package's errors, or nil for what is not known.
type RunError struct {
	What string // what was wanted
	Exit int
	Line string // the line of standard error that says why
	Kind error
}

func (e *RunError) Error() string {
	return fmt.Sprintf("pfctl: %s: exit status %d: %s", e.What, e.Exit, e.Line)
}

// Unwrap makes errors.Is work with the kind.
func (e *RunError) Unwrap() error { return e.Kind }

// check turns a result into an error, nil where the run succeeded. Judge by the exit status: standard error holds noise on
// several systems, and counts.
func check(what string, r Result) error {
	if r.Exit == 0 {
		return nil
	}
	line, kind := diagnose(r.Stderr)
	return &RunError{What: what, Exit: r.Exit, Line: line, Kind: kind}
}

// diagnoses are looked for in this order.
var diagnoses = []struct {
	text string
	kind error
}{
	{"Table does not exist", ErrTableMissing},
	{"Device busy", ErrBusy},
	{"Operation not permitted", ErrNotPermitted},
	{"Permission denied", ErrNotPermitted},
	{"Cannot allocate memory", ErrLimit},
	{"request_maxcount", ErrTooMany},
	{"too many elements", ErrTooMany},
	{"/dev/pf: No such file", ErrNoPF},
	{"/dev/pf: Device not configured", ErrNoPF},
	{"Failed to open netlink", ErrNoPF},
	{"syntax error", ErrSyntax},
	{"invalid table option", ErrSyntax},
	{"could not parse host", ErrSyntax},
	{"Syntax error in config file", ErrSyntax},
	{"Invalid argument", ErrTooMany}, // of a table request with canonical addresses only the cap is left
}

// diagnose finds the line that explains a failure.
func diagnose(stderr []byte) (line string, kind error) {
	for _, d := range diagnoses {
		for l := range bytes.Lines(stderr) {
			if bytes.Contains(l, []byte(d.text)) {
				return strings.TrimSpace(string(l)), d.kind
			}
		}
	}
	for l := range bytes.Lines(stderr) {
		s := strings.TrimSpace(string(l))
		if s != "" && !noise(s) {
			return s, nil
		}
	}
	return "no message", nil
}

// noise says whether a line of standard error is one that pfctl prints whatever happens.
func noise(s string) bool {
	for _, n := range []string{"No ALTQ support", "ALTQ related functions", "Use of -f option", "present in the main ruleset", "See /etc/pf.conf", "warning:"} {
		if strings.Contains(s, n) {
			return true
		}
	}
	return false
}
