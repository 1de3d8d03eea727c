package fail2ban

import (
	"fmt"
	"path/filepath"
	"strings"

	"pfwarden/detect/filter"
)

// Definition is the jail's filter as detect/filter takes it. Nothing that it finds is proven: a fail2ban jail decides as fail2ban does,
// past proof and gates.
func (j *Jail) Definition() filter.Definition {
	f := &j.Filter
	text := func(name string) string { s, _ := j.Options[name].(string); return s }
	def := filter.Definition{
		Name: f.Name, Failregex: f.FailRegex, Ignoreregex: f.IgnoreRegex, Prefregex: f.PrefRegex, Datepattern: f.DatePattern,
		MaxLines: f.MaxLines, UseDNS: f.UseDNS, Journalmatch: journalMatches(f.JournalMatch), TimeZone: text("logtimezone"), LogEncoding: text("logencoding"),
		Proof: "none",
	}
	if j.fromJournal() {
		def.Logtype = "journal"
	}
	return def
}

// FilterDefinition reads one filter of a fail2ban folder by its specification, "name[option=value,…]", as fail2ban's tests and
// fail2ban-regex do: without any jail. logtype, unless "", is the option of that name where the specification has none; with the
// logtype "journal" lines carry no time stamp.
func FilterDefinition(dir, spec, logtype string) (filter.Definition, error) {
	name, given, err := extractOptions(spec)
	if err != nil {
		return filter.Definition{}, fmt.Errorf("filter %s: %w", spec, err)
	}
	if logtype == "" {
		logtype = "file"
	}
	def, found, err := readFilter(dir, name, given, logtype)
	if err == nil && !found {
		err = fmt.Errorf("there is no filter.d/%s.conf or .local in %s", name, dir)
	}
	if err != nil {
		return filter.Definition{}, fmt.Errorf("filter %s: %w", spec, err)
	}
	return def, nil
}

func readFilter(dir, name string, given []pair, logtype string) (filter.Definition, bool, error) {
	t, found, err := readTree(filepath.Join(dir, "filter.d"), name)
	if err != nil || !found {
		return filter.Definition{}, found, err
	}
	own := false
	for _, p := range given {
		own = own || p.key == "logtype"
	}
	if _, ok := t.sections["Definition"].get("logtype"); !ok && !own {
		given = append(given, pair{"logtype", logtype})
	}
	d, err := define(t, given, nil, filterOptions)
	if err != nil {
		return filter.Definition{}, true, err
	}
	if err := d.set.substitute(nil, d.more); err != nil {
		return filter.Definition{}, true, err
	}
	j := Jail{Filter: Filter{Name: name}}
	if err := j.Filter.take(d.set.values); err != nil {
		return filter.Definition{}, true, err
	}
	def := j.Definition()
	def.TimeZone, def.LogEncoding = d.set.values["logtimezone"], d.set.values["logencoding"]
	kind, ok := d.set.values["logtype"]
	if !ok {
		if kind, _, err = d.scope.value("logtype"); err != nil {
			return filter.Definition{}, true, err
		}
	}
	if kind == "journal" {
		def.Logtype = "journal"
	}
	return def, true, nil
}

func journalMatches(list [][]string) (out []string) {
	for _, words := range list {
		out = append(out, strings.Join(words, " "))
	}
	return out
}
