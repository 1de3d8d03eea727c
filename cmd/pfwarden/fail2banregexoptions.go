package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"pfwarden/internal/daemon"
)

// regexOptions are what fail2ban-regex was asked.
type regexOptions struct {
	dir, datepattern, timezone, useDNS, out, encoding string
	maxLines, verbose                                 int
	log, regex, ignore                                string
	allMatched, allMissed, allIgnored                 bool
	noMissed, noIgnored, raw, first, verboseDate      bool
}

// regexSwitches are fail2ban-regex's options.
func regexSwitches() []option {
	return []option{
		{"config", 'c', true}, {"datepattern", 'd', true}, {"timezone", 0, true}, {"TZ", 0, true}, {"encoding", 'e', true}, {"raw", 'r', false},
		{"usedns", 0, true}, {"maxlines", 'L', true}, {"journalmatch", 'm', true}, {"log-level", 'l', true}, {"machine-version", 'V', false},
		{"verbose", 'v', false}, {"verbosity", 0, true}, {"verbose-date", 0, false}, {"VD", 0, false}, {"debuggex", 'D', false},
		{"no-check-all", 0, false}, {"out", 'o', true}, {"print-no-missed", 0, false}, {"print-no-ignored", 0, false},
		{"print-all-matched", 0, false}, {"print-all-missed", 0, false}, {"print-all-ignored", 0, false}, {"log-traceback", 't', false},
		{"full-traceback", 0, false}, {"help", 'h', false}, {"version", 0, false},
	}
}

// parseRegexOptions reads the command line. done: everything was said.
func parseRegexOptions(args []string, streams stdio) (o regexOptions, done bool, err error) {
	o.dir, o.encoding = "/etc/fail2ban", "UTF-8"
	list, rest, err := optparse(regexSwitches(), args)
	for i := 0; i < len(list) && err == nil; i++ {
		if done, err := o.tell(list[i], streams); done {
			return o, true, err
		}
		err = o.set(list[i])
	}
	if err != nil {
		fmt.Fprintf(streams.Err, "Usage: fail2ban-regex [OPTIONS] <LOG> <REGEX> [IGNOREREGEX]\n\nfail2ban-regex: error: %v\n", err)
		return o, true, &fail2banStatus{2}
	}
	var faults []string
	if o.noMissed && o.allMissed {
		faults = append(faults, "ERROR: --print-no-missed and --print-all-missed are mutually exclusive.")
	}
	if o.noIgnored && o.allIgnored {
		faults = append(faults, "ERROR: --print-no-ignored and --print-all-ignored are mutually exclusive.")
	}
	if len(rest) < 2 || len(rest) > 3 {
		faults = append(faults, "ERROR: provide both <LOG> and <REGEX>.")
	}
	if len(faults) > 0 {
		regexUsage(streams.Out)
		fmt.Fprintf(streams.Err, "\n%s\n", strings.Join(faults, "\n"))
		return o, true, &fail2banStatus{exitFail2ban}
	}
	o.log, o.regex = rest[0], rest[1]
	if len(rest) == 3 {
		o.ignore = rest[2]
	}
	return o, false, nil
}

// tell answers the switches after which nothing else is done.
func (o *regexOptions) tell(s given, streams stdio) (done bool, err error) {
	switch s.name {
	case "help":
		regexUsage(streams.Out)
	case "machine-version":
		fmt.Fprintln(streams.Out, daemon.Fail2banVersion+".1")
	case "version":
		fmt.Fprintln(streams.Out, "fail2ban-regex "+daemon.Fail2banVersion)
	case "debuggex":
		fmt.Fprintln(streams.Out, "ERROR: pfwarden makes no addresses of debuggex.com")
		return true, &fail2banStatus{exitFail2ban}
	case "log-level":
		if daemon.Fail2banLevel(s.value) {
			return false, nil
		}
		fmt.Fprintf(streams.Err, "Invalid log level '%s'\n", s.value)
		return true, &fail2banStatus{1}
	default:
		return false, nil
	}
	return true, nil
}

// set takes a switch over; those that it does not know have no effect.
func (o *regexOptions) set(s given) (err error) {
	switch s.name {
	case "config":
		o.dir = s.value
	case "datepattern":
		o.datepattern = s.value
	case "timezone", "TZ":
		o.timezone = s.value
	case "encoding":
		o.encoding = s.value
	case "raw":
		o.raw = true
	case "usedns":
		o.useDNS = s.value
	case "out":
		o.out = s.value
	case "maxlines":
		o.maxLines, err = s.number()
	case "verbosity":
		o.verbose, err = s.number()
	case "verbose":
		o.verbose++
	case "verbose-date", "VD":
		o.verboseDate = true
	case "no-check-all":
		o.first = true
	case "print-no-missed":
		o.noMissed = true
	case "print-no-ignored":
		o.noIgnored = true
	case "print-all-matched":
		o.allMatched = true
	case "print-all-missed":
		o.allMissed = true
	case "print-all-ignored":
		o.allIgnored = true
	}
	return err
}

func (s given) number() (int, error) {
	n, err := strconv.Atoi(s.value)
	if err != nil {
		return 0, fmt.Errorf("option --%s: invalid integer value: '%s'", s.name, s.value)
	}
	return n, nil
}

func regexUsage(w io.Writer) {
	fmt.Fprint(w, `Usage: fail2ban-regex [OPTIONS] <LOG> <REGEX> [IGNOREREGEX]

pfwarden answers in the place of fail2ban-regex.

LOG is a file, a line of text, or - for standard input. REGEX is a failregex, the name of a filter with options in brackets, or a filter's file.

Options:
    -c, --config DIR         folder of fail2ban's configuration (/etc/fail2ban)
    -d, --datepattern P      pattern of the time stamps
    --timezone, --TZ ZONE    zone of time stamps without one
    -e, --encoding NAME      of the log (UTF-8)
    -r, --raw                do not resolve names
    --usedns HOW             yes, warn, no or raw
    -L, --maxlines N         lines that are matched together
    -v, --verbose            say more: twice for the filter's options
    --verbosity N            likewise
    --VD, --verbose-date     say more of date formats
    --no-check-all           stop at the first failregex that matches
    -o, --out FORMAT         print failures only: id, ip, msg, row, the name of a group, or a text with <tags>
    --print-all-matched, --print-all-missed, --print-all-ignored, --print-no-missed, --print-no-ignored
    -h, -V, --version
    -m, -l, -t, --full-traceback
                             taken, without effect
`)
}
