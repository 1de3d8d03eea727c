// Package builtin holds pfwarden's own filters, written from the servers' log formats. Each pattern is anchored so that the
// address stands where the server put it, whatever text a client chose: either nothing of the client's stands before it, or
// the client's text is matched greedily and the rest of the line is fixed up to its end.
package builtin

import (
	"fmt"
	"slices"
	"strings"

	"pfwarden/detect/filter"
)

// A builder makes a definition of the options given; it takes those it knows with Options.take.
type builder func(*Options) filter.Definition

func builders() map[string]builder {
	return map[string]builder{
		"sshd":            sshd,
		"httpd-auth":      httpdAuth,
		"httpd-noscript":  httpdNoScript,
		"httpd-overflows": httpdOverflows,
		"httpd-probes":    httpdProbes,
		"postfix":         postfix,
		"smtpd":           opensmtpd,
		"dovecot":         dovecot,
		"ftpd":            ftpd,
		"vsftpd":          vsftpd,
		"named":           named,
		"relayd":          relayd,
	}
}

// Names lists the filters in alphabetical order.
func Names() []string {
	var names []string
	for n := range builders() {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Options are the key=value pairs in a filter's brackets.
type Options struct {
	values map[string]string
	faults []error
}

// take returns the value of an option, def if it is not given. Where allowed values are named, others are faults.
func (o *Options) take(key, def string, allowed ...string) string {
	v, ok := o.values[key]
	if !ok {
		return def
	}
	delete(o.values, key)
	if len(allowed) > 0 && !slices.Contains(allowed, v) {
		o.faults = append(o.faults, fmt.Errorf("option %s=%s: expected one of %s", key, v, strings.Join(allowed, ", ")))
	}
	return v
}

// Lookup makes the definition for a specification "name" or "name[option=value,…]". Options that every filter knows:
// usedns, logtype, timezone, datepattern, proof.
func Lookup(spec string) (filter.Definition, error) {
	name, options, err := ParseSpec(spec)
	if err != nil {
		return filter.Definition{}, err
	}
	build, ok := builders()[name]
	if !ok {
		return filter.Definition{}, fmt.Errorf("no filter %q: expected one of %s", name, strings.Join(Names(), ", "))
	}
	o := &Options{values: options}
	_, sure := options["proof"] // then it is for somebody else to judge
	def := build(o)
	def.Name, def.FreshAddress = name, true
	def.UseDNS = o.take("usedns", def.UseDNS, "yes", "warn", "no", "raw")
	def.Logtype = o.take("logtype", def.Logtype, "file", "short", "journal", "rfc5424")
	def.TimeZone = o.take("timezone", def.TimeZone)
	def.Datepattern = o.take("datepattern", def.Datepattern)
	def.Proof, def.Forgeable = o.take("proof", def.Proof, "tcp", "none"), def.Forgeable && !sure
	for _, key := range sortedKeys(o.values) {
		o.faults = append(o.faults, fmt.Errorf("unknown option %q", key))
	}
	if len(o.faults) > 0 {
		return filter.Definition{}, fmt.Errorf("filter %s: %w", spec, joinFaults(o.faults))
	}
	return def, nil
}

func joinFaults(faults []error) error {
	err := faults[0]
	for _, f := range faults[1:] {
		err = fmt.Errorf("%w; %w", err, f)
	}
	return err
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// ParseSpec splits "name[key=value, key="quoted, value"][more=…]" into its parts.
func ParseSpec(spec string) (name string, options map[string]string, err error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(spec), "[")
	options = map[string]string{}
	if rest == "" && !strings.HasSuffix(spec, "[") {
		return name, options, nil
	}
	rest = strings.ReplaceAll(rest, "][", ",")
	for {
		rest = strings.TrimLeft(rest, ", \t\n")
		if rest == "]" {
			return name, options, nil
		}
		key, after, ok := strings.Cut(rest, "=")
		if key = strings.TrimSpace(key); !ok || key == "" || strings.ContainsAny(key, "[],\"'") {
			return "", nil, fmt.Errorf("filter %q: expected name[key=value,…]", spec)
		}
		var value string
		switch after = strings.TrimLeft(after, " \t"); {
		case after != "" && (after[0] == '"' || after[0] == '\''):
			value, rest, ok = strings.Cut(after[1:], after[:1])
		default:
			i := strings.IndexAny(after, ",]")
			if ok = i >= 0; ok {
				value, rest = strings.TrimSpace(after[:i]), after[i:]
			}
		}
		if !ok {
			return "", nil, fmt.Errorf("filter %q: the value of %s does not end", spec, key)
		}
		options[key] = value
	}
}

// syslogPrefix matches what stands before a daemon's message, its time stamp already cut out: classic syslog with a host,
// FreeBSD's with <facility.level>, RFC 5424, and the journal's form.
func syslogPrefix(daemon string) string {
	return `^` + syslogHead + `<F-MLFID>(?:` + daemon + `(?:\[\d+\])?:|` + daemon + syslogBare + `)</F-MLFID> (?:\[ID \d+ \w+\.\w+\] )?`
}

const (
	syslogHead = `(?:<\d{1,3}>(?:1 )?)? ?(?:<\w+\.\w+> )?(?:[^\s<>\[\]]+ )?` // before a daemon's name
	syslogBare = ` (?:\d+|-) \S+ (?:-|\[[^\]]*\])`                           // after it, in RFC 5424
)

const content = `<F-CONTENT>.+</F-CONTENT>$`
