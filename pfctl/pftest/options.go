package pftest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// options is the command line after getopt(3), in the BSD manner: it stops at the first operand.
type options struct {
	verbose                    int
	quiet, dry, debug, numeric bool
	enable, disable, zero      bool
	rulesOnly                  bool
	anchor                     string
	anchorSet, recurse         bool
	wildcard                   bool // the anchor was given as name/*
	onlyRule                   int  // with -R on OpenBSD: show this rule alone; -1: all
	reverseDNS, noDNS          bool
	debugLevel, device         string
	macros                     map[string]string // of -D
	file                       string
	fileSet                    bool
	flush, show, table, cmd    string
	flushSet, showSet          bool
	tableSet, cmdSet           bool
	iface                      string
	kill, killNodes            []string
	args                       []string
}

// exitError ends a run with a status; whatever is to be said was said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// errWait means that the run cannot go on before PF has changed.
var errWait = errors.New("waits for room")

// call is one run of pfctl.
type call struct {
	pf        *PF
	stdin     []byte
	out, err  bytes.Buffer
	o         options
	dummy     bool // with -n: the device opened, so the kernel is asked without changing anything
	shown     int  // rulesets printed
	titled    bool // -s all has printed a title
	failed    int  // exit status of what failed without ending the run
	stopAfter int  // addresses after which a fault ends the run; 0: none
}

func (c *call) warn(format string, args ...any) { fmt.Fprintf(&c.err, "pfctl: "+format+"\n", args...) }

// say prints what a command did, as pfctl's xprintf: to standard error, not with -q.
func (c *call) say(format string, args ...any) {
	if c.o.quiet {
		return
	}
	fmt.Fprintf(&c.err, format, args...)
	switch {
	case c.o.dry && c.dummy:
		c.err.WriteString(" (dummy).\n")
	case c.o.dry:
		c.err.WriteString(" (syntax only).\n")
	default:
		c.err.WriteString(".\n")
	}
}

// note prints a line to standard error, not with -q.
func (c *call) note(format string, args ...any) {
	if !c.o.quiet {
		fmt.Fprintf(&c.err, format+"\n", args...)
	}
}

func (c *call) usage() error {
	switch {
	case c.pf.prof.Name == "freebsd15":
		c.err.WriteString("usage: pfctl [-AdeghMmNnOPqRSrvz] [-a anchor] [-D macro=value] [-F modifier]\n" +
			"\t[-f file] [-i interface] [-K host | network]\n" +
			"\t[-k host | network | gateway | label | id] [-o level] [-p device]\n" +
			"\t[-s modifier] [-t table -T command [address ...]] [-x level]\n")
	case c.pf.prof.OpenBSD:
		c.err.WriteString("usage: pfctl [-deghNnPqrvz] [-a anchor] [-D macro=value] [-F modifier] [-f file]\n" +
			"\t[-i interface] [-K key] [-k key] [-L statefile] [-o level]\n" +
			"\t[-p device] [-S statefile] [-s modifier [-R id]]\n" +
			"\t[-t table -T command [address ...]] [-V rdomain] [-x level]\n")
	default:
		c.err.WriteString("usage: pfctl [-AdeghmNnOPqRrvz] [-a anchor] [-D macro=value] [-F modifier]\n" +
			"\t[-f file] [-i interface] [-K host | network]\n" +
			"\t[-k host | network | label | id] [-o level] [-p device]\n" +
			"\t[-s modifier] [-t table -T command [address ...]] [-x level]\n")
	}
	return exitError(1)
}

func (c *call) parse(args []string) error {
	p := c.pf.prof
	withArg, plain := "aDFfiKkopstTxLRSV", "deghNnPqrvz"
	if !p.OpenBSD {
		withArg, plain = "aDFfiKkopstTx", "AdeghmNnOPqRrvz"
	}
	if p.Name == "freebsd15" {
		withArg, plain = "aDFfiKkopstTx", "AdeghMmNnOPqRrSvz"
	}
	c.o.onlyRule = -1
	if len(args) == 0 {
		return c.usage()
	}
	for len(args) > 0 {
		a := args[0]
		if len(a) < 2 || a[0] != '-' {
			break
		}
		args = args[1:]
		if a == "--" {
			break
		}
		for i := 1; i < len(a); i++ {
			ch := a[i]
			switch {
			case ch == 'h':
				return c.usage()
			case strings.IndexByte(plain, ch) >= 0:
				c.flag(ch)
			case strings.IndexByte(withArg, ch) >= 0:
				v := a[i+1:]
				if v == "" {
					if len(args) == 0 {
						c.warn("option requires an argument -- %c", ch)
						return c.usage()
					}
					v, args = args[0], args[1:]
				}
				if err := c.option(ch, v); err != nil {
					return err
				}
				i = len(a)
			default:
				c.warn("invalid option -- '%c'", ch)
				return c.usage()
			}
		}
	}
	c.o.args = args
	return c.check()
}

func (c *call) flag(ch byte) {
	o := &c.o
	switch ch {
	case 'd':
		o.disable = true
	case 'e':
		o.enable = true
	case 'q':
		o.quiet = true
	case 'n':
		o.dry = true
	case 'v':
		o.verbose++
	case 'g':
		o.debug = true
	case 'z':
		o.zero = true
	case 'P':
		o.numeric = true
	case 'r':
		o.reverseDNS = true
	case 'S':
		o.noDNS = true
	case 'N':
		o.noDNS = c.pf.prof.OpenBSD
		o.rulesOnly = !c.pf.prof.OpenBSD // "load only NAT rules": filter rules are then not loaded
	}
}

func (c *call) option(ch byte, v string) error {
	o, p := &c.o, c.pf.prof
	var err error
	switch ch {
	case 'a':
		o.anchor, o.anchorSet = v, true
	case 'f':
		o.file, o.fileSet = v, true
	case 'i':
		o.iface = v
	case 't':
		o.table, o.tableSet = v, true
	case 'k', 'K':
		list := &o.kill
		if ch == 'K' {
			list = &o.killNodes
		}
		if len(*list) >= 2 {
			c.warn("can only specify -%c twice", ch)
			return c.usage()
		}
		*list = append(*list, v)
	case 'F':
		words := []string{"nat", "queue", "rules", "Sources", "states", "info", "Tables", "osfp", "all"}
		switch {
		case p.OpenBSD:
			words = []string{"rules", "Sources", "states", "info", "Tables", "osfp", "Reset", "all"}
		case p.Recursion:
			words = append(words, "ethernet", "Reset")
		}
		o.flushSet = true
		o.flush, err = c.keyword(v, "flush modifier", words)
	case 's':
		words := []string{
			"nat", "queue", "rules", "Anchors", "Sources", "states", "info", "Interfaces", "labels", "timeouts", "memory", "Tables", "osfp",
			"Running", "all",
		}
		if p.OpenBSD {
			words = []string{"queue", "rules", "Anchors", "Sources", "states", "info", "Interfaces", "labels", "timeouts", "memory", "Tables", "osfp", "all"}
		}
		if p.Name == "freebsd15" {
			words = append(append([]string{"ether"}, words...), "creatorids")
		}
		o.showSet = true
		o.show, err = c.keyword(v, "show modifier", words)
	case 'T':
		words := []string{"kill", "flush", "add", "delete", "load", "replace", "show", "test", "zero", "expire"}
		if p.OpenBSD {
			words = []string{"kill", "flush", "add", "delete", "replace", "show", "test", "zero", "expire"}
		}
		if p.Reset {
			words = append(words, "reset")
		}
		o.cmdSet = true
		o.cmd, err = c.keyword(v, "table command", words)
	case 'p':
		o.device = v
	case 'D':
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			c.warn("could not parse macro definition %s", v)
			break
		}
		if o.macros == nil {
			o.macros = map[string]string{}
		}
		o.macros[name] = value
	case 'o':
		_, err = c.keyword(v, "optimization", []string{"none", "basic", "profile"})
	case 'x':
		words := []string{"none", "urgent", "misc", "loud"}
		if p.OpenBSD {
			words = []string{"debug", "info", "notice", "warning", "error", "crit", "alert", "emerg"}
		}
		o.debugLevel, err = c.keyword(v, "debug level", words)
	case 'R':
		n, why := strtonum(v, -1, math.MaxInt64)
		if why != "" {
			c.warn("invalid rule id: %s", why)
			return c.usage()
		}
		o.onlyRule = int(n)
	case 'V':
		if _, why := strtonum(v, 0, 255); why != "" {
			c.warn("Invalid rdomain: %s", why)
			return c.usage()
		}
	}
	return err
}

// strtonum is strtonum(3): what is wrong with a number is one of three words.
func strtonum(s string, low, high int64) (n int64, why string) {
	n, err := strconv.ParseInt(strings.TrimLeft(s, " \t\n"), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && strings.Contains(s, "-"), err == nil && n < low:
		return 0, "too small"
	case errors.Is(err, strconv.ErrRange), err == nil && n > high:
		return 0, "too large"
	case err != nil:
		return 0, "invalid"
	}
	return n, ""
}

// keyword completes an abbreviated word: the first that fits, on OpenBSD the only one.
func (c *call) keyword(v, what string, words []string) (string, error) {
	found := ""
	for _, w := range words {
		if w == v {
			return w, nil
		}
		if v != "" && strings.HasPrefix(w, v) {
			if found != "" {
				c.warn("%s is ambigious", v)
				return "", exitError(1)
			}
			found = w
			if !c.pf.prof.OpenBSD {
				break
			}
		}
	}
	if found == "" {
		c.warn("Unknown %s '%s'", what, v)
		return "", c.usage()
	}
	return found, nil
}

// check is what pfctl tests between getopt and its first action.
func (c *call) check() error {
	o, bsd := &c.o, c.pf.prof.OpenBSD
	strict := bsd || c.pf.prof.Name == "freebsd15"
	if strict && o.noDNS && o.reverseDNS {
		c.warn("-N and -r are mutually exclusive")
		return exitError(1)
	}
	if o.cmdSet && !o.tableSet && (o.cmd != "load" || strict) || o.tableSet && !o.cmdSet && strict {
		return c.usage()
	}
	if !o.cmdSet && len(o.args) > 0 {
		c.warn("unknown command line argument: %s ...", o.args[0])
		return c.usage()
	}
	writes := o.enable || o.disable || o.zero || o.debugLevel != "" || o.fileSet && !o.cmdSet || o.flushSet ||
		len(o.kill)+len(o.killNodes) > 0 || o.cmdSet && o.cmd != "show" && o.cmd != "test"
	if !o.anchorSet {
		return nil
	}
	if strict {
		if o.anchor == "" {
			c.warn("anchor name must not be empty")
			return exitError(1)
		}
	}
	if strict && !writes && !o.showSet && !o.cmdSet {
		c.warn("anchors apply to -f, -F, -s, and -T only")
		return c.usage()
	}
	if writes && !o.cmdSet && (strings.HasPrefix(o.anchor, "_") || strings.Contains(o.anchor, "/_")) {
		c.warn("anchor names beginning with '_' cannot be modified from the command line")
		return exitError(1)
	}
	if len(o.anchor) >= 1024 {
		c.warn("anchor name '%s' too long", o.anchor)
		return exitError(1)
	}
	if rest, ok := strings.CutSuffix(o.anchor, "*"); ok {
		o.recurse = true
		o.anchor, o.wildcard = strings.CutSuffix(rest, "/")
	}
	o.anchor = strings.TrimPrefix(o.anchor, "/")
	return nil
}
