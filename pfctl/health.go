package pfctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// HealthItem is one thing that must be right for bans to work.
type HealthItem struct {
	Name string // pf, anchor, counters, limit, rules, rights, stuck, runs, tables, negated, foreign
	OK   bool
	Text string // in plain words
	Fix  string // the line to add or the command to give; "" where there is none
}

// probeState is what was found out about PF.
type probeState struct {
	looked   bool
	enabled  bool
	known    bool // the status was readable
	call     Call
	callErr  error
	counters bool // this PF knows the word
	grammar  bool // and it was asked
	openbsd  bool
	limit    int   // of table entries; 0 is not known
	loaded   bool  // our rules went in since we started
	rules    error // why they do not
	denied   error
	stuck    error
	killed   [2]error // how the last run of each kind did not come to its end, nil if it did
}

// rightsFix says what to do when pfctl could not be run at all, or was not let.
func rightsFix(err error) string {
	switch {
	case errors.Is(err, ErrNoProgram):
		return "set pf.pfctl to the path of pfctl(8), or pf.backend = \"memory\" where there is no pf"
	case errors.Is(err, ErrNoPF):
		return "load pf: kldload pf on FreeBSD, modload pf on NetBSD"
	}
	return "run as root, or let the privileged helper run pfctl"
}

// look asks PF how it is, and changes nothing.
func (d *Driver) look(ctx context.Context) {
	info, err := d.exec(ctx, "show status", []string{"-s", "info"}, nil)
	enabled := bytes.Contains(info.Stdout, []byte("Status: Enabled"))
	known := err == nil
	call, callErr := d.findCall(ctx)
	limit := 0
	if res, err := d.exec(ctx, "show limits", []string{"-s", "memory"}, nil); err == nil {
		limit = parseLimit(res.Stdout)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.probe
	d.probe.looked, d.probe.enabled, d.probe.known = true, enabled, known
	d.probe.call, d.probe.callErr, d.probe.limit = call, callErr, limit
	if was.looked && was.enabled && !enabled && known {
		d.log.Warn("pf was disabled; nothing is filtered until it is enabled (pfctl -e)")
	}
}

// parseLimit reads the limit of table entries from -s memory.
func parseLimit(out []byte) int {
	for l := range bytes.Lines(out) {
		f := strings.Fields(string(l))
		if len(f) == 4 && f[0] == "table-entries" {
			if n, err := strconv.Atoi(f[3]); err == nil {
				return n
			}
		}
	}
	return 0
}

// Call says how the main ruleset reaches our anchor.
type Call struct {
	Found  bool
	Line   string // the rule that calls it
	Before string // a quick pass rule above it that lets everything by; "" if there is none
	Narrow string // conditions of the call that keep packets from it: direction, interface, family, protocol
}

// findCall looks for the rule that calls our anchor, going down through the anchors above it.
func (d *Driver) findCall(ctx context.Context) (Call, error) {
	if d.cfg.Anchor == "" {
		return Call{}, nil
	}
	return findCall(d.cfg.Anchor, func(path string) (string, error) {
		args := []string{"-s", "rules"}
		if path != "" {
			args = []string{"-a", path, "-s", "rules"}
		}
		res, err := d.exec(ctx, "show the rules of anchor \""+path+"\"", args, nil)
		return string(res.Stdout), err
	})
}

func findCall(anchor string, rules func(path string) (string, error)) (Call, error) {
	var pass string
	base, rest := "", anchor
	var out Call
	for range strings.Count(anchor, "/") + 1 {
		text, err := rules(base)
		if err != nil {
			return Call{}, err
		}
		next, found := "", false
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if pass == "" && passesAll(line) {
				pass = line
			}
			name, ok := anchorName(line)
			if !ok {
				continue
			}
			name = strings.TrimPrefix(name, "/")
			reach, whole := reaches(name, rest)
			if reach == "" {
				continue
			}
			out.Line = strings.TrimSuffix(line, " {")
			if n := narrow(line); n != "" && out.Narrow == "" {
				out.Narrow = n
			}
			if whole {
				out.Found, out.Before = true, pass
				return out, nil
			}
			next, found = reach, true
			break
		}
		if !found {
			return Call{}, nil
		}
		base = strings.TrimPrefix(base+"/"+next, "/")
		rest = strings.TrimPrefix(rest[len(next):], "/")
	}
	return Call{}, nil
}

// reaches says whether a rule 'anchor "name"' leads to the anchor rest: the whole way, or to an anchor above it.
func reaches(name, rest string) (path string, whole bool) {
	base, all := strings.CutSuffix(name, "*")
	base = strings.TrimSuffix(base, "/")
	if !all {
		if name == rest {
			return rest, true
		}
		if strings.HasPrefix(rest, name+"/") {
			return name, false
		}
		return "", false
	}
	below := rest
	if base != "" {
		var ok bool
		if below, ok = strings.CutPrefix(rest, base+"/"); !ok {
			return "", false
		}
	}
	first, more, deeper := strings.Cut(below, "/")
	if !deeper {
		return rest, true
	}
	return strings.TrimSuffix(rest, "/"+more), len(more) == 0 && first != ""
}

// anchorName reads the name from 'anchor "name" all'.
func anchorName(line string) (string, bool) {
	rest, ok := strings.CutPrefix(line, "anchor \"")
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, "\"")
	return name, ok
}

// narrow returns what an anchor call asks of a packet, "" if nothing.
func narrow(line string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(line, "anchor \""), "\"")
	rest = strings.TrimSuffix(strings.TrimSpace(rest), "{")
	rest = strings.TrimSpace(rest)
	if rest == "all" || rest == "in all" || rest == "" {
		return ""
	}
	return rest
}

// passesAll says whether a rule is a quick pass of everything that comes in.
func passesAll(line string) bool {
	f := strings.Fields(line)
	if len(f) < 3 || f[0] != "pass" {
		return false
	}
	quick := false
	for i := 1; i < len(f); i++ {
		switch f[i] {
		case "in", "log", "inet", "(all)":
		case "quick":
			quick = true
		case "all":
			return quick
		case "from":
			return quick && strings.HasPrefix(strings.Join(f[i:], " "), "from any to any") && (i+4 >= len(f) || f[i+4] == "flags")
		default:
			return false
		}
	}
	return false
}

// Health says what is right and what is not, in a fixed order.
func (d *Driver) Health() []HealthItem {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.probe
	var out []HealthItem
	add := func(name string, ok bool, text, fix string) { out = append(out, HealthItem{name, ok, text, fix}) }
	if !p.looked && !d.cfg.Observe {
		add("pf", false, "pf was not looked at yet", "")
		return out
	}
	switch {
	case p.denied != nil:
		add("rights", false, p.denied.Error(), rightsFix(p.denied))
	default:
		add("rights", true, "pfctl may be run", "")
	}
	switch {
	case !p.known:
		add("pf", false, "the status of pf is not known", "")
	case p.enabled:
		add("pf", true, "pf is enabled", "")
	default:
		add("pf", false, "pf is disabled: nothing is filtered", "pfctl -e")
	}
	out = append(out, d.callHealth())
	if p.rules != nil {
		add("rules", false, p.rules.Error(), "")
	} else {
		add("rules", true, d.rulesText(), "")
	}
	if p.counters {
		add("counters", true, "tables count by address", "")
	} else {
		add("counters", true, "this pf does not know the word counters; it counts by address without", "")
	}
	out = append(out, d.limitHealth())
	out = append(out, d.stuckHealth(), d.changesHealth())
	for _, t := range d.tables {
		if t.blind {
			add("tables", false, fmt.Sprintf("table <%s> cannot be read: it has more entries than one request may carry", t.name),
				"net.pf.request_maxcount=400000 in /boot/loader.conf")
		}
		for n := range t.negated {
			add("negated", false, fmt.Sprintf("table <%s> holds !%v, so that adding %v does nothing", t.name, n, n),
				fmt.Sprintf("pfctl -a %s -t %s -T delete '!%v'", d.cfg.Anchor, t.name, n))
			break
		}
		if len(t.foreign) > 0 {
			add("foreign", true, fmt.Sprintf("table <%s> holds %d entries that were never ours; they are kept", t.name, len(t.foreign)), "")
		}
	}
	if d.cfg.Observe { // nothing of ours has to be in PF
		for i := range out {
			out[i].OK, out[i].Text = true, "only observing; "+out[i].Text
		}
	}
	return out
}

// slowRun is how long a run may take before health says so. Reading or changing 100,000 entries takes about a second.
const slowRun = 5 * time.Second

// stuckHealth tells of runs that do not end.
func (d *Driver) stuckHealth() HealthItem {
	const name = "stuck"
	if err := d.probe.stuck; err != nil {
		return HealthItem{name, false, err.Error(), "raise \"set limit table-entries\" in pf.conf, or delete entries; the stuck pfctl goes on by itself then"}
	}
	for kind, run := range d.active {
		if run.what == "" {
			continue
		}
		if took := d.clock.Now().Sub(run.begin); took >= slowRun {
			kept := ""
			if kind == changing {
				kept = "; changes wait for it, none is lost"
			}
			return HealthItem{name, false, fmt.Sprintf("pfctl has been running for %v: %s%s", took.Round(time.Second), run.what, kept),
				"see what it waits for: ps -axo pid,wchan,command | grep pfctl"}
		}
	}
	for _, err := range d.probe.killed {
		if err != nil {
			return HealthItem{name, false, "pfctl did not come to its end: " + err.Error() + "; what it did is looked at, and the rest is tried again",
				"run pfctl by hand to see what it waits for"}
		}
	}
	return HealthItem{name, true, "no pfctl is stuck", ""}
}

// changesHealth tells of changes that fail again and again.
func (d *Driver) changesHealth() HealthItem {
	if d.tries < 2 {
		return HealthItem{"runs", true, "pf takes our changes", ""}
	}
	return HealthItem{"runs", false, fmt.Sprintf("%d tries in a row failed; the changes are kept and tried again: %v", d.tries, d.tryErr), ""}
}

func (d *Driver) callHealth() HealthItem {
	if d.cfg.Anchor == "" {
		return HealthItem{"anchor", true, "the tables are the main ruleset's own", ""}
	}
	c := d.probe.call
	line := fmt.Sprintf("anchor \"%s\"", d.cfg.Anchor)
	switch {
	case d.probe.callErr != nil:
		return HealthItem{"anchor", false, "the main ruleset cannot be read: " + d.probe.callErr.Error(), ""}
	case !c.Found:
		return HealthItem{
			"anchor", false, "the main ruleset does not call our anchor: everything loads and nothing is filtered",
			line + "   # in pf.conf, above any \"pass quick\"",
		}
	case c.Before != "":
		return HealthItem{
			"anchor", false, "a quick pass rule stands above our anchor, so packets never reach it: " + c.Before,
			line + "   # in pf.conf, above that rule",
		}
	case c.Narrow != "":
		return HealthItem{"anchor", true, "our anchor is called for some packets only: " + c.Line, ""}
	}
	return HealthItem{"anchor", true, "the main ruleset calls our anchor: " + c.Line, ""}
}

func (d *Driver) limitHealth() HealthItem {
	limit, desired, over, full := d.probe.limit, 0, 0, false
	for _, t := range d.tables {
		desired += len(t.desired)
		over += len(t.over)
		full = full || t.full
	}
	fix := fmt.Sprintf("set limit table-entries %d   # in pf.conf", max(400000, 4*desired))
	switch {
	case full:
		return HealthItem{
			"limit", false,
			fmt.Sprintf("pf has no room for %d of %d addresses, which it does not block: its limit is %d table entries, of which a twentieth is left to others",
				over, desired, limit),
			fix,
		}
	case limit > 0 && 2*desired > limit:
		return HealthItem{
			"limit", false,
			fmt.Sprintf("%d addresses are more than half of pf's limit of %d table entries; a replace needs room for old and new", desired, limit),
			fix,
		}
	case limit == 0:
		return HealthItem{"limit", true, "pf's limit of table entries is not known", ""}
	}
	return HealthItem{"limit", true, fmt.Sprintf("%d addresses, limit %d", desired, limit), ""}
}

func (d *Driver) rulesText() string {
	if d.cfg.Observe {
		return "no rules are loaded"
	}
	if d.cfg.TablesOnly {
		return "the rules are the administrator's own; only tables are filled"
	}
	return "our rules are loaded in anchor " + d.cfg.Anchor
}
