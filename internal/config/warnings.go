package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// warner collects warnings, each with the place of the key that it is about.
type warner struct {
	c   *Config
	out []Fault
}

// warnf adds a warning about the first of keys that was given; with none of them given it is about a default, in line 0.
func (w *warner) warnf(keys []string, format string, args ...any) {
	f := Fault{Key: keys[0], Text: fmt.Sprintf(format, args...)}
	for _, k := range keys {
		if p, ok := w.c.places[k]; ok {
			f.File, f.Line = p.file, p.line
			break
		}
	}
	w.out = append(w.out, f)
}

// warnings finds what is right as configuration and will still not do what it was meant to: rules that can never fire,
// files that are not there, and ways to lock oneself out.
func (c *Config) warnings(m Machine, s Survey, interfaces []string) []Fault {
	w := &warner{c: c}
	w.never()
	w.pf(m)
	w.pflog(s, interfaces)
	w.rule("defaults", &c.Defaults)
	proven := false
	for i, js := range s.Jails {
		if js.On {
			w.jail(m, c.Jail(js.Name), s.Jails[i])
			proven = proven || js.Proof != "none"
		}
	}
	if c.Prefix.Enabled && !proven {
		w.warnf([]string{"prefix.enabled", "prefix"}, "can never fire: no jail that is on has proof")
	}
	if !c.Portscan.Enabled && !slices.ContainsFunc(s.Jails, func(j JailSurvey) bool { return j.On }) && c.Fail2ban == "" {
		w.warnf([]string{"portscan.enabled"}, "nothing is watched: no jail is on")
	}
	w.rest(m)
	return w.out
}

func (w *warner) never() {
	prefixes, _ := w.c.NeverList()
	all4, all6 := coversAll(prefixes, netip.IPv4Unspecified()), coversAll(prefixes, netip.IPv6Unspecified())
	switch {
	case all4 && all6:
		w.warnf([]string{"never"}, "covers every address: nothing can ever be banned")
	case all4:
		w.warnf([]string{"never"}, "covers every IPv4 address: none can ever be banned")
	case all6:
		w.warnf([]string{"never"}, "covers every IPv6 address: none can ever be banned")
	}
	for _, s := range w.c.Never {
		if p, err := netip.ParsePrefix(s); err == nil && p.Masked() != p {
			w.warnf([]string{"never"}, "%s is taken as the whole prefix %s; for one address leave /%d away", s, p.Masked(), p.Bits())
		}
	}
	if !w.c.NeverDefaults && len(w.c.Never) == 0 {
		w.warnf([]string{"never_defaults"}, "off, and never is empty: you can lock yourself out")
	}
}

func (w *warner) pf(m Machine) {
	p := &w.c.PF
	if p.Backend == "pfctl" {
		if paths, err := m.Glob(escape(p.Pfctl)); err == nil && len(paths) == 0 {
			w.warnf([]string{"pf.pfctl", "pf.backend"}, `%s does not exist; without a PF use backend = "memory"`, p.Pfctl)
		}
	} else {
		w.warnf([]string{"pf.backend"}, "a PF in memory: decisions are shown, nothing is blocked")
	}
	if p.Banned == p.Suspects {
		w.warnf([]string{"pf.suspects", "pf.banned"}, "the same table as banned: whoever forges an address can have it cut off in both directions")
	}
	if p.RulesFile != "" {
		w.readable(m, "pf.rules_file", p.RulesFile)
	}
	if w.c.Fail2ban != "" {
		w.readable(m, "fail2ban", w.c.Fail2ban)
	}
}

// readable warns of a file or folder that cannot be opened.
func (w *warner) readable(m Machine, key, path string) {
	err := m.Readable(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.warnf([]string{key}, "%s does not exist", path)
	case err != nil:
		w.warnf([]string{key}, "%v", err)
	}
}

func (w *warner) pflog(s Survey, interfaces []string) {
	if !w.c.Portscan.Enabled {
		return
	}
	p := &w.c.Pflog
	keys := []string{"pflog.interface", "pflog.file", "pflog"}
	switch {
	case p.Interface == "" && p.File == "":
		w.warnf(keys, "portscan can never fire: there is neither an interface nor a file to read PF's log from")
	case !s.Pflog.InterfaceFound && !s.Pflog.FileFound:
		w.warnf(keys, "portscan has nothing to read now: %s", missingSources(p))
	}
	if len(p.Watch) == 0 {
		w.warnf([]string{"pflog.watch"}, "portscan can never fire: no interface is watched")
	}
	for _, name := range p.Watch {
		// Every BSD interface ends in its unit number; a name without one is a group, which cannot be told from here.
		if c := name[len(name)-1]; c >= '0' && c <= '9' && len(interfaces) > 0 && !slices.Contains(interfaces, name) {
			w.warnf([]string{"pflog.watch"}, "there is no interface %s now", name)
		}
	}
	if slices.Equal(p.Watch, []string{p.Interface}) && p.Interface != "" {
		w.warnf([]string{"pflog.watch"}, "%s is where the log is read; what is watched are the interfaces that the packets came in on", p.Interface)
	}
}

func missingSources(p *Pflog) string {
	var parts []string
	if p.Interface != "" {
		parts = append(parts, "no interface "+p.Interface)
	}
	if p.File != "" {
		parts = append(parts, "no file "+p.File)
	}
	return strings.Join(parts, " and ")
}

func (w *warner) jail(m Machine, j *Jail, js JailSurvey) {
	name := "jail." + j.Name
	_, given := w.c.places[name+".logs"] // of the system's own logs it is enough to have one
	for _, pattern := range j.Logs {
		files := found(m.Glob, []string{pattern})
		if len(files) == 0 && given {
			what := "file does not exist (yet)"
			if strings.ContainsAny(pattern, "*?[") {
				what = "glob matches nothing (yet)"
			}
			w.warnf([]string{name + ".logs", name}, "%s: this %s", pattern, what)
		}
		if pattern != "-" {
			w.absolute(name+".logs", pattern)
		}
		for _, f := range files {
			if err := m.Readable(f); f != "-" && err != nil {
				w.warnf([]string{name + ".logs", name}, "%v", err)
			}
		}
		if owner := strangeLog(filterBase(j.Filter), pattern); owner != "" {
			w.warnf([]string{name + ".logs", name}, "%s is usually the log of %s: the filter %s will find nothing there", pattern, owner, filterBase(j.Filter))
		}
	}
	if len(js.Found) == 0 {
		w.warnf([]string{name + ".logs", name}, "the jail cannot fire: none of its logs exists now")
	}
	own := len(w.out)
	w.rule(name, &j.Rule)
	w.out = append(w.out[:own], slices.DeleteFunc(w.out[own:], w.inherited)...)
}

// inherited tells whether a jail's warning is one that its [defaults] brought about: that one is given once, for [defaults].
func (w *warner) inherited(f Fault) bool {
	key := f.Key[strings.LastIndexByte(f.Key, '.')+1:]
	return slices.ContainsFunc(w.out, func(o Fault) bool { return o.Key == "defaults."+key && o.Text == f.Text })
}

// mixed are logs that many programs write to: any filter may find its lines there.
var mixed = [...]string{"/var/log/messages", "/var/log/syslog", "/var/log/daemon", "/var/log/system.log"}

// strangeLog returns the filters whose log this usually is, if the given one is a known filter and none of them.
func strangeLog(filter, path string) string {
	if slices.Contains(mixed[:], path) {
		return ""
	}
	var owners []string
	known, ours := false, false
	for _, s := range systems() {
		for _, u := range s.usual {
			known = known || slices.Contains(u.filters(), filter)
			for _, l := range u.logs {
				if ok, err := filepath.Match(l, path); (l == path || err == nil && ok) && !slices.Contains(owners, u.jail) {
					owners = append(owners, u.jail)
					ours = ours || slices.Contains(u.filters(), filter)
				}
			}
		}
	}
	if !known || ours {
		return ""
	}
	slices.Sort(owners)
	return strings.Join(owners, ", ")
}

// Bounds beyond which a rule is hardly meant.
const (
	fastest  = 1000             // failures a second
	shortest = 10 * time.Second // findtime of a rule with more than one failure: logs carry whole seconds
)

func (w *warner) rule(name string, r *Rule) {
	key := func(k string) []string { return []string{name + "." + k, "defaults." + k, name} }
	if len(r.Ladder) == 0 {
		w.warnf(key("ladder"), "empty: there is no length for a ban, so the jail can never ban")
	}
	for i := 1; i < len(r.Ladder); i++ {
		if r.Ladder[i] < r.Ladder[i-1] {
			w.warnf(key("ladder"), "step %d (%s) is shorter than step %d (%s)", i+1, FormatDuration(r.Ladder[i]), i, FormatDuration(r.Ladder[i-1]))
		}
	}
	if len(r.Ladder) > 1 && r.LadderMemory <= r.Ladder[0] {
		w.warnf(key("ladder_memory"), "%s is over before the first ban (%s) is: the second step is never reached",
			FormatDuration(r.LadderMemory), FormatDuration(r.Ladder[0]))
	}
	if len(r.Ladder) > 0 && r.Jitter > r.Ladder[0] {
		w.warnf(key("jitter"), "%s is more than the first ban (%s) itself", FormatDuration(r.Jitter), FormatDuration(r.Ladder[0]))
	}
	switch {
	case float64(r.MaxRetry) > fastest*r.FindTime.Seconds():
		w.warnf(key("maxretry"), "can hardly ever be reached: %d failures within %s", r.MaxRetry, FormatDuration(r.FindTime))
	case r.MaxRetry > 1 && r.FindTime < shortest:
		w.warnf(key("findtime"), "%s is very short for %d failures: most logs have whole seconds", FormatDuration(r.FindTime), r.MaxRetry)
	}
}

func (w *warner) rest(m Machine) {
	c := w.c
	if a, err := netip.ParseAddrPort(c.Metrics.Listen); c.Metrics.WebConfig == "" &&
		(err == nil && !a.Addr().IsLoopback() || strings.HasPrefix(c.Metrics.Listen, ":")) {
		w.warnf([]string{"metrics.listen"},
			"%s can be reached from outside: the metrics name attackers and your ports; TLS and passwords are set up by metrics.web_config",
			c.Metrics.Listen)
	}
	if c.Control.Group != "" && m.Group != nil {
		if err := m.Group(c.Control.Group); err != nil {
			w.warnf([]string{"control.group"}, "no group %s here: only root will be able to ask the daemon", c.Control.Group)
		}
	}
	w.absolute("store.file", c.Store.File)
	w.absolute("control.socket", c.Control.Socket)
}

// absolute warns of a path that depends on the folder the daemon is started in.
func (w *warner) absolute(key, path string) {
	if !filepath.IsAbs(path) {
		w.warnf([]string{key}, "%s depends on the folder that the daemon is started in; better write the whole path", path)
	}
}

// escape makes a path a glob that matches just it.
func escape(path string) string {
	var b strings.Builder
	for _, r := range path {
		if strings.ContainsRune(`*?[\`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
