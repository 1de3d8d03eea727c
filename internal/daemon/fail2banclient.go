package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/control"
	"pfwarden/internal/f2bclient"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/ledger"
)

// Fail2banVersion is the release of fail2ban whose answers are given.
const Fail2banVersion = "1.1.0"

var _ control.Fail2banService = (*service)(nil)

// question is one of fail2ban-client's.
type question struct {
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

// tooFew is the answer to a command that lacks an argument.
func tooFew() value {
	return value{Error: &control.Fail2banError{Text: "list index out of range", Said: "Sorry but the command is invalid"}}
}

func noJail(name string) value {
	return value{Error: &control.Fail2banError{Text: name, NoJail: true}}
}

// Fail2ban implements control.Fail2banService.
func (s *service) Fail2ban(ctx context.Context, by string, change bool, argv []string) control.Fail2banAnswer {
	q := &question{s, ctx, by, change, argv}
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
	case "reload":
		return q.reload()
	case "flushlogs":
		return q.flushLogs()
	case "start", "stop":
		return q.startStop()
	case "add":
		return failed("pfwarden runs the jails of the configuration: add one there and reload")
	}
	return failed("Invalid command")
}

func (q *question) arg(i int) string {
	if i < len(q.argv) {
		return q.argv[i]
	}
	return ""
}

func (q *question) running() *fail2ban.Running {
	q.s.d.mu.Lock()
	defer q.s.d.mu.Unlock()
	return q.s.d.fail2ban
}

// jails lists the names of the jails in the order of the configuration.
func (q *question) jails() (names []string) {
	if r := q.running(); r != nil {
		for _, j := range r.Jails {
			names = append(names, j.Engine.Name)
		}
	}
	return names
}

func (q *question) jail(i int) (*fail2ban.RunningJail, value) {
	if j := q.running().Jail(q.arg(i)); j != nil {
		return j, value{}
	}
	return nil, noJail(q.arg(i))
}

// bans are a jail's bans in force in the order in which they were made.
func (q *question) bans(jail string) (list []ledger.Ban) {
	for _, b := range q.s.d.bans.Live() {
		if b.Jail == jail {
			list = append(list, b)
		}
	}
	return list
}

// bansByEnd are the same in the order of their ends.
func (q *question) bansByEnd(jail string) []ledger.Ban {
	list := q.bans(jail)
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

func (q *question) isBanned(jail, id string) bool {
	id = canonicalID(id)
	return slices.ContainsFunc(q.bans(jail), func(b ledger.Ban) bool { return banID(&b) == id })
}

func (q *question) banned() value {
	out := []any{}
	if len(q.argv) == 1 {
		for _, n := range q.jails() {
			out = append(out, option{{Key: n, Value: ids(q.bans(n))}})
		}
		return value{Value: out}
	}
	for _, a := range q.argv[1:] {
		in := []any{}
		for _, n := range q.jails() {
			if q.isBanned(n, a) {
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
func (q *question) ban(jail string, list []string) value {
	n := 0
	err := q.s.change(q.ctx, func(now time.Time) {
		for _, text := range list {
			if q.isBanned(jail, text) {
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

// release ends bans of jails and counts them. A network that is not banned as such stands for all banned addresses in it.
func (q *question) release(jails, list []string, all bool) (n int, absent []string, err error) {
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
				ended := end(jail, p, ident)
				if ended == 0 && p.IsValid() && !p.IsSingleIP() {
					for _, b := range q.bans(jail) {
						if b.Prefix.IsValid() && p.Overlaps(b.Prefix) && p.Bits() <= b.Prefix.Bits() {
							ended += end(jail, b.Prefix, b.Ident)
						}
					}
				}
				here += ended
			}
			if n += here; here == 0 {
				absent = append(absent, text)
			}
		}
	})
	return n, absent, err
}

func (q *question) unban() value {
	list := q.argv[1:]
	all := len(list) == 1 && list[0] == "--all"
	if all {
		list = nil
	} else if len(list) == 0 {
		return failed("Invalid command")
	}
	n, _, err := q.release(q.jails(), list, all)
	if err != nil {
		return failed("%v", err)
	}
	return value{Value: n}
}

func (q *question) unbanIn(jail string, list []string) value {
	report := len(list) > 0 && list[0] == "--report-absent"
	if report {
		list = list[1:]
	}
	n, absent, err := q.release([]string{jail}, list, false)
	if err != nil {
		return failed("%v", err)
	}
	if report && len(absent) > 0 {
		return failed("not banned: %s", f2bclient.Repr(absent))
	}
	return value{Value: n}
}
