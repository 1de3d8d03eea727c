package hooks

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/internal/fail2ban"
)

// action is one action of one jail with what it was made to do so far.
type action struct {
	h        *Hooks
	name     name
	spec     fail2ban.Action
	options  map[string]string // all that its commands can name
	banTime  float64
	families []string
	onDemand bool
	timeout  time.Duration
	exclude  string // commands with the same text here count together
	secrets  secrets
	alike    bool // only one of them at a time

	// Guarded by Hooks.mu.
	waiting, running int
	lane             *lane   // its own, for start, flush and stop
	before           *action // of the same name in the old configuration: to be stopped first
	startTried       bool
	adopted          bool // taken over as it was: neither it nor its bans are begun again
	toSweep          bool // its start has yet to clear what the run before left
	ended            bool
	alone            bool // its start, flush or stop is under way

	changing sync.RWMutex    // held for writing while the action is started, stopped or repaired
	mu       sync.Mutex      // guards what follows
	started  map[string]bool // by family
	items    map[string]bool // the family has, or may have, bans
	held     map[string]*ban // carried out and not ended, by address, where a repair would have to make them again
	done     map[string]map[string]string
}

// inPlace finds commands that rewrite a file: two of them at once would undo each other.
var inPlace = regexp.MustCompile(`\bsed\s+(-[A-Za-z]+\s+)*-[A-Za-z]*i|\b(mv|ed)\s`)

func newAction(h *Hooks, j Jail, spec fail2ban.Action) *action {
	a := &action{
		h: h, name: name{j.Name, spec.Name}, spec: spec, banTime: j.BanTime, timeout: h.o.Timeout, exclude: "action " + spec.File,
		options: make(map[string]string), started: make(map[string]bool), items: make(map[string]bool), held: make(map[string]*ban),
		done: make(map[string]map[string]string),
	}
	for k, v := range spec.Init {
		a.options[k] = v
	}
	a.secrets = secretsOf(spec.Init)
	conditional := false
	for k := range spec.Init {
		conditional = conditional || strings.Contains(k, "?family=")
	}
	for k, v := range spec.Command {
		a.options[k] = v
		a.alike = a.alike || inPlace.MatchString(v)
	}
	switch {
	case spec.Init["families"] != "":
		a.families = strings.FieldsFunc(spec.Init["families"], func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
	case conditional:
		a.families = []string{"inet4", "inet6"}
	default:
		a.families = []string{""}
	}
	a.onDemand = conditional
	if v, ok := spec.Command["actionstart_on_demand"]; ok {
		a.onDemand = v == "true"
	}
	if v, err := fail2ban.Seconds(spec.Init["timeout"]); err == nil && v > 0 && v <= 86400 {
		a.timeout = time.Duration(v * float64(time.Second))
	}
	return a
}

// most is how many of its commands may run at once.
func (a *action) most(perAction int) int {
	if a.alike {
		return 1
	}
	return perAction
}

// begun tells whether bans may be carried out: its start was tried, and it is not being started or stopped.
func (a *action) begun() bool { return (a.onDemand || a.startTried) && !a.alone && !a.toSweep }

func (a *action) prolongs() bool { return strings.TrimSpace(a.spec.Command["actionprolong"]) != "" }

// do carries out one job.
func (a *action) do(ctx context.Context, j job) (err error) {
	switch j.verb {
	case "start":
		err = a.start(ctx, a.families, j.sweep)
		if j.sweep {
			a.sweep(ctx)
		}
	case "ban":
		err = a.ban(ctx, j.ban)
	case "unban":
		a.mu.Lock()
		delete(a.held, j.ban.id)
		a.mu.Unlock()
		if a.has(j.ban.family) {
			err = a.process(ctx, "actionunban", j.ban)
		}
	case "prolong":
		err = a.process(ctx, "actionprolong", j.ban)
	case "reload":
		err = a.reload(ctx, j.new)
	case "flush":
		err = a.flush(ctx)
	case "stop":
		err = a.stop(ctx, nil)
	}
	if err != nil && ctx.Err() == nil {
		on := ""
		if j.ban != nil {
			on = j.ban.id
		}
		a.h.o.Log.Error("an action failed", "jail", a.name.jail, "action", a.name.action, "command", j.verb, "address", on, "error", err)
		if a.h.o.Failed != nil {
			a.h.o.Failed(a.name.jail, a.name.action, j.verb, err)
		}
	}
	return err
}

func (a *action) has(family string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.items[a.familyOf(family)]
}

// familyOf is the family by which an action keeps its state: without conditional options there is only one.
func (a *action) familyOf(family string) string {
	if len(a.families) == 1 && a.families[0] == "" {
		return ""
	}
	return family
}

func (a *action) ban(ctx context.Context, b *ban) error {
	family := a.familyOf(b.family)
	a.mu.Lock()
	started, ended := a.started[family], b.again && a.held[b.id] == nil
	a.mu.Unlock()
	if ended {
		return nil
	}
	if a.onDemand && !started {
		a.changing.Lock()
		err := a.start(ctx, []string{family}, true)
		a.changing.Unlock()
		if err != nil {
			return fmt.Errorf("starting it: %w", err)
		}
	}
	verb := "actionban"
	if b.again && a.spec.Command["actionreban"] != "" {
		verb = "actionreban"
	}
	if err := a.process(ctx, verb, b); err != nil {
		return err
	}
	a.mu.Lock()
	a.started[family], a.items[family] = true, true
	if a.spec.Command["actioncheck"] != "" { // without one nothing is ever repaired
		a.held[b.id] = b.short()
	}
	a.mu.Unlock()
	return nil
}

// start runs actionstart for the families that are not started yet; a command that is the same for two families is run once.
func (a *action) start(ctx context.Context, families []string, demanded bool) error {
	if a.onDemand && !demanded {
		return nil
	}
	var missing []string
	a.mu.Lock()
	for _, f := range families {
		if !a.started[f] {
			missing = append(missing, f)
		}
	}
	a.mu.Unlock()
	return a.operate(ctx, "actionstart", missing, func(f string) { a.started[f] = true; a.forgetDone("actionstop", f) })
}

// reload takes over the options of a changed configuration and runs actionreload for what was started. No other command of the action runs
// meanwhile.
func (a *action) reload(ctx context.Context, to *action) error {
	a.h.mu.Lock()
	a.spec, a.options, a.banTime, a.families, a.onDemand, a.timeout, a.alike = to.spec, to.options, to.banTime, to.families, to.onDemand, to.timeout, to.alike
	a.h.mu.Unlock()
	a.mu.Lock()
	var families []string
	for f, on := range a.started {
		if on {
			families = append(families, f)
		}
	}
	slices.Sort(families)
	a.mu.Unlock()
	if len(families) == 0 { // on demand so far, perhaps no more
		return a.start(ctx, a.families, false)
	}
	return a.operate(ctx, "actionreload", families, func(f string) { a.forgetDone("actionreload", f) })
}

// stop runs actionstop for the families that were started.
func (a *action) stop(ctx context.Context, families []string) error {
	a.mu.Lock()
	if families == nil {
		for f, on := range a.started {
			if on {
				families = append(families, f)
			}
		}
		slices.Sort(families)
	}
	for _, f := range families {
		a.started[f] = false
	}
	a.mu.Unlock()
	return a.operate(ctx, "actionstop", families, func(f string) { a.forgetDone("actionstart", f) })
}

// flush lets go of all bans at once.
func (a *action) flush(ctx context.Context) error {
	var families []string
	a.mu.Lock()
	for f, on := range a.items {
		if on && a.started[f] {
			families = append(families, f)
		}
	}
	slices.Sort(families)
	a.mu.Unlock()
	return a.operate(ctx, "actionflush", families, func(f string) {
		a.items[f] = false
		maps.DeleteFunc(a.held, func(_ string, b *ban) bool { return a.familyOf(b.family) == f })
		a.forgetDone("actionflush", f)
	})
}

// forgetDone notes that a command may be run again for a family. a.mu is held.
func (a *action) forgetDone(verb, family string) {
	cmd, ok := a.done[verb][family]
	if !ok {
		return
	}
	for f, c := range a.done[verb] {
		if c == cmd {
			delete(a.done[verb], f)
		}
	}
}

// operate runs a command that is not about one ban for some families, each different text once. after is called, with a.mu held, for each
// that succeeded.
func (a *action) operate(ctx context.Context, verb string, families []string, after func(family string)) error {
	var errs []error
	for _, f := range families {
		text, err := a.text(verb, f)
		if err != nil {
			return err
		}
		a.mu.Lock()
		known := false
		for other, cmd := range a.done[verb] {
			known = known || other != f && cmd == text
		}
		a.mu.Unlock()
		if text != "" && !known {
			b := &ban{family: f, time: float64(a.h.o.Now().Unix())}
			if err := a.run(ctx, text, b); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		a.mu.Lock()
		if a.done[verb] == nil {
			a.done[verb] = make(map[string]string)
		}
		a.done[verb][f] = text
		after(f)
		a.mu.Unlock()
	}
	return together(errs...)
}

// text is a command with the tags of the action's own options replaced.
func (a *action) text(verb, family string) (string, error) {
	if a.spec.Command[verb] == "" {
		return "", nil
	}
	condition := ""
	if family != "" {
		condition = "family=" + family
	}
	return replaceStatic("<"+verb+">", a.options, condition, hostNames)
}

// run fills in the values of a ban and runs a command.
func (a *action) run(ctx context.Context, text string, b *ban) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	fields := gather(text, a.valueOf(ctx, b), func(tag string) (string, bool) { v, ok := b.fields[tag]; return v, ok })
	if a.h.o.Remote != nil {
		return a.secrets.hide(a.h.o.Remote.Run(ctx, text, a.timeout, fields))
	}
	command, args := fill(text, fields)
	return a.secrets.hide(a.h.o.Shell(ctx, command, args))
}
