package fail2ban

import (
	"fmt"
	"strconv"
	"strings"
)

type reader struct {
	dir     string
	options Options
	jails   *tree
	files   []string // of its filter and its actions
}

func (r *reader) jail(name string) (*Jail, bool, error) {
	in := scope{tree: r.jails, section: name, vars: map[string]string{"fail2ban_confpath": r.dir}}
	enabled, _, err := in.value("enabled")
	if err != nil || !truth(enabled) {
		return nil, false, err
	}
	j := &Jail{Name: name, Backend: "auto", Options: make(map[string]any)}
	if backend, ok, err := in.value("backend"); err != nil {
		return nil, true, err
	} else if ok {
		j.Backend = backend
	}
	if r.options.NoJournal && j.fromJournal() {
		if paths, _, err := in.value("logpath"); err == nil && strings.TrimSpace(paths) != "" {
			j.Backend, j.replaced = "auto", true
		}
	}
	spec, _, err := in.value("filter")
	if err != nil {
		return nil, true, err
	}
	raw := make(map[string]string)
	if spec = strings.TrimSpace(spec); spec != "" {
		if raw, err = r.filter(j, spec, in); err != nil {
			return nil, true, err
		}
	}
	for name, v := range raw {
		in.vars["known/"+name] = v
	}
	vars := make(map[string]string)
	for name, kind := range jailOptions {
		v, ok, err := in.value(name)
		if err != nil {
			return nil, true, err
		}
		if !ok {
			continue
		}
		j.Options[name] = convert(kind, v)
		if j.Options[name] != nil {
			vars[name] = v
		}
	}
	for _, name := range filterOptions {
		if v, ok, err := in.value(name); err != nil {
			return nil, true, err
		} else if ok {
			raw[name] = v
			j.journal = j.journal || name == "journalmatch" && v != ""
		}
	}
	if err := j.Filter.take(raw); err != nil {
		return nil, true, wrong("%v", err)
	}
	if v, _ := j.Options["ignoreip"].(string); v != "" {
		j.IgnoreIP = splitWords(v, true)
	}
	spec, _ = j.Options["action"].(string)
	for _, one := range splitWithOptions(spec) {
		a, err := r.action(j, one, vars)
		if err != nil {
			return nil, true, err
		}
		j.Actions = append(j.Actions, *a)
	}
	return j, true, r.logs(j)
}

// fromJournal tells whether the jail reads the journal of systemd.
func (j *Jail) fromJournal() bool { return strings.HasPrefix(j.Backend, "systemd") }

func convert(kind optionKind, v string) any {
	switch kind {
	case number:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil {
			return nil
		}
		return n
	case boolean:
		return truth(v)
	}
	return v
}

// logs expands the jail's log paths.
func (r *reader) logs(j *Jail) error {
	paths, _ := j.Options["logpath"].(string)
	for _, line := range strings.Split(paths, "\n") {
		pattern, tail := strings.TrimSpace(line), false
		if pattern == "" {
			continue
		}
		if p, ok := strings.CutSuffix(pattern, " tail"); ok {
			pattern, tail = strings.TrimSpace(p), true
		} else if p, ok := strings.CutSuffix(pattern, " head"); ok {
			pattern = strings.TrimSpace(p)
		}
		j.LogPath, j.Paths = append(j.LogPath, pattern), append(j.Paths, Log{pattern, tail})
		found, err := r.options.Glob(pattern)
		if err != nil {
			return wrong("log path %s: %v", quoteCut(pattern), err)
		}
		for _, f := range found {
			j.Logs = append(j.Logs, Log{f, tail})
		}
	}
	if len(j.Logs) > 0 || j.fromJournal() {
		return nil
	}
	if quiet, _ := j.Options["skip_if_nologs"].(bool); quiet {
		return skip{"missing log files."}
	}
	if journal, ok := j.Options["systemd_if_nologs"].(bool); (!ok || journal) && strings.HasPrefix(j.Backend, "auto") && j.journal && !r.options.NoJournal {
		j.Backend = "systemd"
		return nil
	}
	if r.options.AllowMissingLogs || len(j.LogPath) == 0 {
		return nil
	}
	return &Error{Kind: "ValueError", Text: fmt.Sprintf("Have not found any log file for %s jail", j.Name)}
}
