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
	"pfwarden/internal/f2bclient"
	"pfwarden/internal/fail2ban"
)

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
	t := &regexRun{
		o: o, filter: f, def: def, set: filter.NewSet([]*filter.Filter{f}), w: w, hits: make([]regexHits, len(def.Failregex)),
		connection: make(map[string][]string),
	}
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
