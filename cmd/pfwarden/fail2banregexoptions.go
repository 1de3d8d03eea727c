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

// regexSwitches are fail2ban-regex's options: the short names, and whether a value follows.
var regexSwitches = []struct {
	long  string
	short byte
	value bool
}{
	{"config", 'c', true}, {"datepattern", 'd', true}, {"timezone", 0, true}, {"TZ", 0, true}, {"encoding", 'e', true}, {"raw", 'r', false},
	{"usedns", 0, true}, {"maxlines", 'L', true}, {"journalmatch", 'm', true}, {"log-level", 'l', true}, {"machine-version", 'V', false},
	{"verbose", 'v', false}, {"verbosity", 0, true}, {"verbose-date", 0, false}, {"VD", 0, false}, {"debuggex", 'D', false},
	{"no-check-all", 0, false}, {"out", 'o', true}, {"print-no-missed", 0, false}, {"print-no-ignored", 0, false},
	{"print-all-matched", 0, false}, {"print-all-missed", 0, false}, {"print-all-ignored", 0, false}, {"log-traceback", 't', false},
	{"full-traceback", 0, false}, {"help", 'h', false}, {"version", 0, false},
}

// switches takes options and their values from wherever they stand among the arguments, as Python's optparse does.
func switches(args []string) (list [][2]string, rest []string, err error) {
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		next := func(name string) (string, error) {
			if len(args) == 0 {
				return "", fmt.Errorf("%s option requires 1 argument", name)
			}
			v := args[0]
			args = args[1:]
			return v, nil
		}
		switch {
		case a == "--":
			return list, append(rest, args...), nil
		case strings.HasPrefix(a, "--"):
			name, v, joined := strings.Cut(a[2:], "=")
			var like []int
			for i, s := range regexSwitches {
				if s.long == name {
					like = []int{i}
					break
				}
				if strings.HasPrefix(s.long, name) {
					like = append(like, i)
				}
			}
			if len(like) != 1 {
				return nil, nil, fmt.Errorf("no such option: %s", "--"+name)
			}
			s := regexSwitches[like[0]]
			if s.value && !joined {
				if v, err = next("--" + s.long); err != nil {
					return nil, nil, err
				}
			}
			if !s.value && joined {
				return nil, nil, fmt.Errorf("--%s option does not take a value", s.long)
			}
			list = append(list, [2]string{s.long, v})
		case strings.HasPrefix(a, "-") && a != "-":
			for i := 1; i < len(a); i++ {
				at := -1
				for j, s := range regexSwitches {
					if s.short == a[i] {
						at = j
					}
				}
				if at < 0 {
					return nil, nil, fmt.Errorf("no such option: -%c", a[i])
				}
				s, v := regexSwitches[at], ""
				if s.value {
					if v = a[i+1:]; v == "" {
						if v, err = next("-" + string(a[i])); err != nil {
							return nil, nil, err
						}
					}
					i = len(a)
				}
				list = append(list, [2]string{s.long, v})
			}
		default:
			rest = append(rest, a)
		}
	}
	return list, rest, nil
}

// parseRegexOptions reads the command line. done: everything was said.
func parseRegexOptions(args []string, streams stdio) (o regexOptions, done bool, err error) {
	o.dir, o.encoding = "/etc/fail2ban", "UTF-8"
	wrong := func(format string, a ...any) (regexOptions, bool, error) {
		fmt.Fprintf(streams.Err, "Usage: fail2ban-regex [OPTIONS] <LOG> <REGEX> [IGNOREREGEX]\n\nfail2ban-regex: error: "+format+"\n", a...)
		return o, true, &fail2banStatus{2}
	}
	list, rest, err := switches(args)
	if err != nil {
		return wrong("%v", err)
	}
	for _, s := range list {
		switch name, v := s[0], s[1]; name {
		case "help":
			regexUsage(streams.Out)
			return o, true, nil
		case "machine-version":
			fmt.Fprintln(streams.Out, daemon.Fail2banVersion+".1")
			return o, true, nil
		case "version":
			fmt.Fprintln(streams.Out, "fail2ban-regex "+daemon.Fail2banVersion)
			return o, true, nil
		case "config":
			o.dir = v
		case "datepattern":
			o.datepattern = v
		case "timezone", "TZ":
			o.timezone = v
		case "encoding":
			o.encoding = v
		case "raw":
			o.raw = true
		case "usedns":
			o.useDNS = v
		case "out":
			o.out = v
		case "maxlines", "verbosity":
			n, err := strconv.Atoi(v)
			if err != nil {
				return wrong("option %s: invalid integer value: '%s'", "--"+name, v)
			}
			if name == "maxlines" {
				o.maxLines = n
			} else {
				o.verbose = n
			}
		case "log-level":
			if !daemon.Fail2banLevel(v) {
				fmt.Fprintf(streams.Err, "Invalid log level '%s'\n", v)
				return o, true, &fail2banStatus{1}
			}
		case "debuggex":
			fmt.Fprintln(streams.Out, "ERROR: pfwarden makes no addresses of debuggex.com")
			return o, true, &fail2banStatus{exitFail2ban}
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
