package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/internal/control"
	"pfwarden/internal/f2bclient"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/ledger"
)

// Fail2banVersion is the release of fail2ban whose answers are given.
const Fail2banVersion = "1.1.0"

var _ control.Fail2banService = (*service)(nil)

// asked is one question of fail2ban-client's.
type asked struct {
	s      *service
	ctx    context.Context
	by     string
	change bool
	argv   []string
}

type (
	value  = control.Fail2banAnswer
	option = f2bclient.Dict
)

func failed(format string, a ...any) value {
	return value{Error: &control.Fail2banError{Text: fmt.Sprintf(format, a...)}}
}

// Fail2ban implements control.Fail2banService.
func (s *service) Fail2ban(ctx context.Context, by string, change bool, argv []string) control.Fail2banAnswer {
	q := &asked{s, ctx, by, change, argv}
	switch argv[0] {
	case "ping":
		return value{Value: "pong"}
	case "version":
		return value{Value: Fail2banVersion}
	case "server-status":
		return value{Value: "Server ready"}
	case "echo":
		return value{Value: strings.Join(argv[1:], " ")}
	case "status":
		return q.status()
	case "stats", "statistics":
		return value{Value: q.stats()}
	case "banned":
		return q.banned()
	case "get":
		return q.get()
	}
	if !change {
		return failed("only root may change anything")
	}
	switch argv[0] {
	case "set":
		return q.set()
	case "unban":
		return q.unban()
	case "reload", "restart":
		return q.reload()
	case "flushlogs":
		return value{Value: "rolled over"}
	case "start", "stop":
		return q.startStop()
	}
	return failed("Invalid command")
}

func (q *asked) arg(i int) string {
	if i < len(q.argv) {
		return q.argv[i]
	}
	return ""
}

func (q *asked) running() *fail2ban.Running {
	q.s.d.mu.Lock()
	defer q.s.d.mu.Unlock()
	return q.s.d.fail2ban
}

// jails lists the names of the jails in alphabetical order.
func (q *asked) jails() (names []string) {
	if r := q.running(); r != nil {
		for _, j := range r.Jails {
			names = append(names, j.Engine.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (q *asked) jail(i int) (*fail2ban.RunningJail, value) {
	if j := q.running().Jail(q.arg(i)); j != nil {
		return j, value{}
	}
	return nil, value{Error: &control.Fail2banError{Text: q.arg(i), NoJail: true}}
}

// bans are a jail's bans in force in the order of their ends.
func (q *asked) bans(jail string) (list []ledger.Ban) {
	for _, b := range q.s.d.bans.Live() {
		if b.Jail == jail {
			list = append(list, b)
		}
	}
	slices.SortStableFunc(list, func(a, b ledger.Ban) int {
		if a.Permanent() != b.Permanent() {
			if a.Permanent() {
				return 1
			}
			return -1
		}
		return a.Until.Compare(b.Until)
	})
	return list
}

func banID(b *ledger.Ban) string {
	if b.Ident != "" {
		return b.Ident
	}
	return control.FormatPrefix(b.Prefix)
}

func ids(bans []ledger.Ban) []any {
	out := []any{}
	for i := range bans {
		out = append(out, banID(&bans[i]))
	}
	return out
}

func row(k string, v any) any { return []any{k, v} }

// logs are the files that a jail reads now.
func (q *asked) logs(j *fail2ban.RunningJail) []any {
	files := []any{}
	for _, s := range q.s.d.logStats() {
		if s.Present && j.Reads(s.Path) {
			files = append(files, s.Path)
		}
	}
	return files
}

// counts are what status shows of a jail.
func (q *asked) counts(j *fail2ban.RunningJail) (failing, total, banned, bannedTotal int) {
	name := j.Engine.Name
	_ = q.s.d.ask(q.ctx, func(time.Time) { failing = q.s.d.detector.Failing(name) })
	c := q.s.d.jailCounts(name)
	return failing, c.FoundTotal, c.Banned, c.BannedTotal
}

func (q *asked) jailStatus(j *fail2ban.RunningJail, flavor string) any {
	failing, total, banned, bannedTotal := q.counts(j)
	if flavor == "stats" {
		return []any{q.backend(j), []any{failing, total}, []any{banned, bannedTotal}}
	}
	filterRows := []any{row("Currently failed", failing), row("Total failed", total)}
	files := []string{}
	for _, f := range q.logs(j) {
		files = append(files, f.(string))
	}
	filterRows = append(filterRows, row("File list", files))
	actionRows := []any{row("Currently banned", banned), row("Total banned", bannedTotal)}
	if flavor != "short" {
		actionRows = append(actionRows, row("Banned IP list", ids(q.bans(j.Engine.Name))))
	}
	return []any{row("Filter", filterRows), row("Actions", actionRows)}
}

// backend names how logs are read, in fail2ban's words.
func (q *asked) backend(j *fail2ban.RunningJail) string {
	if b := j.Jail.Backend; b != "auto" {
		return b
	}
	return "polling"
}

func (q *asked) status() value {
	flavors := []string{"", "basic", "short", "stats", "cymru"}
	all := q.arg(1) == "--all"
	if q.arg(1) != "" && !all {
		j, bad := q.jail(1)
		if j == nil {
			return bad
		}
		if !slices.Contains(flavors, q.arg(2)) {
			return failed("Unknown flavor %s", q.arg(2))
		}
		return value{Value: q.jailStatus(j, q.arg(2))}
	}
	if all && q.arg(2) == "stats" {
		return value{Value: q.stats()}
	}
	names := q.jails()
	out := []any{row("Number of jail", len(names)), row("Jail list", strings.Join(names, ", "))}
	if all {
		each := option{}
		for _, n := range names {
			if j := q.running().Jail(n); j != nil {
				each = append(each, f2bclient.Pair{Key: n, Value: q.jailStatus(j, q.arg(2))})
			}
		}
		out = append(out, each)
	}
	return value{Value: out}
}

func (q *asked) stats() any {
	out := option{}
	for _, n := range q.jails() {
		if j := q.running().Jail(n); j != nil {
			out = append(out, f2bclient.Pair{Key: n, Value: q.jailStatus(j, "stats")})
		}
	}
	return out
}

func (q *asked) banned() value {
	if len(q.argv) == 1 {
		out := []any{}
		for _, n := range q.jails() {
			out = append(out, option{{Key: n, Value: ids(q.bans(n))}})
		}
		return value{Value: out}
	}
	out := []any{}
	for _, a := range q.argv[1:] {
		in := []any{}
		for _, n := range q.jails() {
			if slices.ContainsFunc(q.bans(n), func(b ledger.Ban) bool { return banID(&b) == canonicalID(a) }) {
				in = append(in, n)
			}
		}
		out = append(out, in)
	}
	return value{Value: out}
}

// canonicalID writes an address as bans do; anything else is itself.
func canonicalID(text string) string {
	if p, err := control.ParsePrefix(text); err == nil {
		return control.FormatPrefix(p)
	}
	return text
}

// identify tells what a ban of that name is on.
func identify(text string) (p netip.Prefix, ident string) {
	if p, err := control.ParsePrefix(text); err == nil {
		if p.IsSingleIP() {
			return p, ""
		}
		return p, control.FormatPrefix(p)
	}
	return netip.Prefix{}, text
}

// ban bans in a jail, whatever its filter says, and counts what is new.
func (q *asked) ban(jail string, list []string) value {
	n := 0
	err := q.s.change(q.ctx, func(now time.Time) {
		for _, text := range list {
			if slices.ContainsFunc(q.bans(jail), func(b ledger.Ban) bool { return banID(&b) == canonicalID(text) }) {
				continue
			}
			p, ident := identify(text)
			v := detect.Verdict{Time: now, Source: p, ID: ident, Jail: jail, Score: 1, Reasons: []string{"banned by hand in this jail by " + q.by}}
			if p.IsValid() && !p.IsSingleIP() {
				v.Source = netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
			}
			notices := q.s.d.bans.Judge(now, v)
			q.s.d.engine.Notices(notices)
			if slices.ContainsFunc(notices, func(x detect.Notice) bool { return x.Kind == detect.Banned && x.Jail == jail }) {
				n++
			}
		}
	})
	if err != nil {
		return failed("%v", err)
	}
	return value{Value: n}
}

// letGo ends bans of jails and counts them.
func (q *asked) letGo(jails, list []string, all bool) (n int, absent []string, err error) {
	err = q.s.change(q.ctx, func(now time.Time) {
		end := func(jail string, p netip.Prefix, ident string) int {
			bans, notices := q.s.d.bans.UnbanJail(now, jail, p, ident, q.by)
			q.s.d.engine.Notices(notices)
			return len(bans)
		}
		for _, jail := range jails {
			if all {
				n += end(jail, netip.Prefix{}, "")
			}
		}
		for _, text := range list {
			here := 0
			for _, jail := range jails {
				p, ident := identify(text)
				here += end(jail, p, ident)
			}
			if n += here; here == 0 {
				absent = append(absent, text)
			}
		}
	})
	return n, absent, err
}

func (q *asked) unban() value {
	list := q.argv[1:]
	all := len(list) == 1 && list[0] == "--all"
	if all {
		list = nil
	} else if len(list) == 0 {
		return failed("no address given")
	}
	n, _, err := q.letGo(q.jails(), list, all)
	if err != nil {
		return failed("%v", err)
	}
	return value{Value: n}
}

func (q *asked) unbanIn(jail string, list []string) value {
	report := len(list) > 0 && list[0] == "--report-absent"
	if report {
		list = list[1:]
	}
	n, absent, err := q.letGo([]string{jail}, list, false)
	if err != nil {
		return failed("%v", err)
	}
	if report && len(absent) > 0 {
		return failed("not banned: %s", f2bclient.Repr(absent))
	}
	return value{Value: n}
}

// reload reads everything again; what was set at run time is forgotten.
func (q *asked) reload() value {
	for _, a := range q.argv[1:] {
		if !strings.HasPrefix(a, "--") && q.running().Jail(a) == nil {
			return failed("No section: '%s'", a)
		}
	}
	if slices.Contains(q.argv, "--unban") {
		if _, _, err := q.letGo(q.jails(), nil, true); err != nil {
			return failed("%v", err)
		}
	}
	if err := q.again(func() { q.s.d.overrides = nil }); err != nil {
		return failed("%v", err)
	}
	return value{Value: "OK"}
}

// again makes a change to what is set at run time and takes the configuration over anew.
func (q *asked) again(f func()) error {
	d := q.s.d
	var err error
	if asking := d.ask(q.ctx, func(time.Time) {
		before := d.overrides
		f()
		if err = d.takeConfig(d.work); err != nil {
			d.overrides = before
		}
	}); asking != nil {
		return asking
	}
	return err
}

func (q *asked) startStop() value {
	if len(q.argv) == 1 {
		if q.argv[0] == "stop" {
			time.AfterFunc(200*time.Millisecond, func() { _ = syscall.Kill(syscall.Getpid(), syscall.SIGTERM) })
		}
		return value{}
	}
	name := q.argv[1]
	if q.argv[0] == "stop" {
		if j, bad := q.jail(1); j == nil {
			return bad
		}
		if _, _, err := q.letGo([]string{name}, nil, true); err != nil {
			return failed("%v", err)
		}
	}
	stopped := q.argv[0] == "stop"
	if err := q.again(func() { q.s.d.override(name, "enabled", func(j *fail2ban.Jail) { j.Stopped = stopped }) }); err != nil {
		return failed("%v", err)
	}
	return value{}
}

// expanded shows regular expressions as fail2ban does.
func expanded(list []string, useDNS string) []any {
	out := []any{}
	for _, r := range list {
		out = append(out, filter.Expand(r, useDNS))
	}
	return out
}

// noneIfEmpty is None for an empty text.
func noneIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// number is a whole number where it is one.
func number(v float64) any {
	if v == float64(int64(v)) {
		return int64(v)
	}
	return v
}

func atoi(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("invalid literal for int() with base 10: '%s'", s)
	}
	return n, nil
}
