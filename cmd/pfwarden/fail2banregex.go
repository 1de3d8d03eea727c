package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"pfwarden/detect/filter"
	"pfwarden/detect/filter/date"
	"pfwarden/internal/daemon"
	"pfwarden/internal/f2bclient"
	"pfwarden/internal/fail2ban"
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

// fail2banRegex is fail2ban-regex.
func fail2banRegex(ctx context.Context, streams stdio, args []string) error {
	o, done, err := parseRegexOptions(args, streams)
	if done || err != nil {
		return err
	}
	w := bufio.NewWriter(streams.Out)
	defer w.Flush()
	failed := func(err error) error {
		fmt.Fprintf(w, "ERROR: %v\n", err)
		return &fail2banStatus{exitFail2ban}
	}
	o.say(w, "\nRunning tests\n=============\n\n")
	options := filter.Options{AllRegex: !o.first && o.out == "", NoFindTime: true}
	if o.timezone != "" {
		if options.Location, err = date.Location(o.timezone); err != nil || len(o.timezone) == 1 && o.timezone != strings.ToUpper(o.timezone) {
			//lint:ignore ST1005 fail2ban's own words
			return failed(fmt.Errorf("Unknown or unsupported time zone: '%s'", o.timezone))
		}
	}
	def, err := o.definition(w)
	if err != nil {
		return failed(err)
	}
	f, err := filter.Compile(def, options)
	var wrong *filter.RegexError
	if errors.Is(err, filter.ErrNoID) && errors.As(err, &wrong) {
		//lint:ignore ST1005 fail2ban's own words
		err = fmt.Errorf("No failure-id group in %s", f2bclient.Repr(wrong.Regex))
	}
	if err != nil {
		return failed(err)
	}
	in, err := o.open(w, streams.In, max(def.MaxLines, 1))
	if err != nil {
		return failed(err)
	}
	defer in.Close()
	t := &regexRun{o: o, filter: f, def: def, set: filter.NewSet([]*filter.Filter{f}), w: w, hits: make([]regexHits, len(def.Failregex)), connection: make(map[string][]string)}
	return t.run(ctx, in)
}

// say prints what is not said where only failures are wanted.
func (o *regexOptions) say(w io.Writer, format string, a ...any) {
	if o.out == "" {
		fmt.Fprintf(w, format, a...)
	}
}

// filterSpec is what may be the name or the file of a filter, with options in brackets.
var filterSpec = regexp.MustCompile(`(?s)^/{0,3}[\w/_\-.]+(?:\[.*\])?$`)

// file finds the filter's file; "" if the regex is none.
func (o *regexOptions) file() (file string, foreign bool) {
	if !filterSpec.MatchString(o.regex) {
		return "", false
	}
	name, _, _ := strings.Cut(o.regex, "[")
	dotted := strings.Contains(name[max(0, len(name)-6):], ".")
	tries := []string{name, name + ".conf", name + ".local"}
	if dotted {
		tries = tries[:1]
	}
	for _, file := range tries {
		if !strings.Contains(file, "/") {
			if filepath.Base(o.dir) == "filter.d" {
				file = filepath.Join(o.dir, file)
			} else {
				file = filepath.Join(o.dir, "filter.d", file)
			}
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			inFolder := !strings.Contains(name, "/") || filepath.Base(filepath.Dir(file)) == "filter.d"
			return file, !inFolder
		}
	}
	return "", false
}

// definition finds the filter: a file, one of the folder's by name, or a regular expression.
func (o *regexOptions) definition(w io.Writer) (def filter.Definition, err error) {
	if o.maxLines > 0 {
		o.say(w, "Use         maxlines : %d\n", o.maxLines)
	}
	if o.datepattern != "" {
		if err := o.sayPattern(w, o.datepattern); err != nil {
			return def, err
		}
	}
	file, foreign := o.file()
	switch {
	case file == "":
		o.say(w, "Use %11s line : %s\n", "failregex", short(o.regex))
		def = filter.Definition{Name: "regex", Failregex: []string{o.regex}}
	case foreign:
		return def, fmt.Errorf("%s: pfwarden reads filters from a folder filter.d only: put the file into one", file)
	default:
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".conf"), ".local")
		dir := filepath.Dir(filepath.Dir(file))
		o.say(w, "Use %11s filter file : %s, basedir: %s\n", "failregex", name, dir)
		options := ""
		if i := strings.IndexByte(o.regex, '['); i >= 0 {
			options = o.regex[i:]
		}
		given := f2bclient.Dict{}
		if options != "" {
			if given, err = givenOptions(options); err != nil {
				return def, err
			}
			o.say(w, "Use   filter options : %s\n", f2bclient.Repr(given))
		}
		if def, err = fail2ban.FilterDefinition(dir, name+options, ""); err != nil {
			return def, err
		}
		o.sayFilter(w, &def, given)
	}
	if o.ignore != "" {
		o.say(w, "Use %11s line : %s\n", "ignoreregex", short(o.ignore))
		def.Ignoreregex = append(slices.Clone(def.Ignoreregex), o.ignore)
	}
	if o.maxLines > 0 {
		def.MaxLines = o.maxLines
	}
	if o.datepattern != "" {
		def.Datepattern = o.datepattern
	}
	if o.useDNS != "" {
		def.UseDNS = o.useDNS
	}
	if o.raw {
		def.UseDNS = "raw"
	}
	def.LogEncoding = o.encoding
	return def, nil
}

// sayFilter prints what the filter's file sets.
func (o *regexOptions) sayFilter(w io.Writer, def *filter.Definition, given f2bclient.Dict) {
	if o.verbose > 1 {
		logtype := "file"
		for _, p := range given {
			if p.Key == "logtype" {
				logtype, _ = p.Value.(string)
			}
		}
		real := f2bclient.Dict{{Key: "logtype", Value: logtype}}
		if def.Datepattern != "" {
			real = append(real, f2bclient.Pair{Key: "datepattern", Value: def.Datepattern})
		}
		for _, p := range given {
			if p.Key != "logtype" && p.Key != "datepattern" {
				real = append(real, p)
			}
		}
		o.say(w, "Real  filter options : %s\n", f2bclient.Repr(real))
	}
	if def.MaxLines > 0 && o.maxLines == 0 {
		o.say(w, "Use         maxlines : %d\n", def.MaxLines)
	}
	if def.Datepattern != "" && o.datepattern == "" {
		_ = o.sayPattern(w, def.Datepattern) // what cannot be used is said when it is
	}
}

// sayPattern prints a date pattern with its description.
func (o *regexOptions) sayPattern(w io.Writer, pattern string) error {
	f, err := date.Compile(pattern, date.Options{})
	if err != nil {
		return err
	}
	name := "Default Detectors"
	if list := f.Patterns(); len(list) > 0 && len(list) < 3 {
		_, name = date.Describe(list[0])
	}
	o.say(w, "Use      datepattern : %s : %s\n", pattern, name)
	return nil
}

// givenOptions reads options in brackets in their order.
func givenOptions(text string) (f2bclient.Dict, error) {
	values, err := fail2ban.BracketOptions("x" + text)
	if err != nil {
		//lint:ignore ST1005 fail2ban's own words
		return nil, fmt.Errorf("Wrong filter name or options: %w", err)
	}
	out := f2bclient.Dict{}
	for k, v := range values {
		out = append(out, f2bclient.Pair{Key: k, Value: v})
	}
	slices.SortFunc(out, func(a, b f2bclient.Pair) int { return strings.Index(text, a.Key+"=") - strings.Index(text, b.Key+"=") })
	return out, nil
}

// short cuts a text as it is shown in the head.
func short(s string) string {
	const most = 53
	if utf8.RuneCountInString(s) > most {
		return string([]rune(s)[:most-3]) + "..."
	}
	return s
}

// open finds the log: a file, or what was given itself.
func (o *regexOptions) open(w io.Writer, stdin io.Reader, maxLines int) (io.ReadCloser, error) {
	if o.log == "-" {
		o.say(w, "\n")
		return io.NopCloser(stdin), nil
	}
	if info, err := os.Stat(o.log); err == nil && info.Mode().IsRegular() {
		f, err := os.Open(o.log)
		if err != nil {
			return nil, err
		}
		o.say(w, "Use         log file : %s\nUse         encoding : %s\n\n", o.log, o.encoding)
		return f, nil
	}
	if strings.HasPrefix(o.log, "systemd-journal") {
		return nil, errors.New("the journal of systemd is not read by pfwarden: write it into a file with journalctl -o short")
	}
	if lines := strings.Split(o.log, "\n"); maxLines > 1 || len(lines) > 1 {
		o.say(w, "Use      multi line : %d line(s)\n", len(lines))
		for i, l := range lines {
			if i >= 5 {
				o.say(w, "| ...\n")
				break
			}
			o.say(w, "| %2.2s: %s\n", strconv.Itoa(i+1), short(l))
		}
		o.say(w, "`-\n")
	} else {
		o.say(w, "Use      single line : %s\n", short(o.log))
	}
	o.say(w, "\n")
	return io.NopCloser(strings.NewReader(o.log + "\n")), nil
}
