package hooks

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"pfwarden/internal/ledger"
)

// ban is what a command is told of a ban.
type ban struct {
	id       string // address, prefix, or fail2ban's identifier
	ip       string // the address, where the identifier is another
	prefix   netip.Prefix
	family   string // "inet4", "inet6", or "" for what is no address
	failures int
	time     float64 // seconds since 1970, of the ban's begin
	bantime  float64 // seconds; -1 = for ever
	count    int
	restored bool
	again    bool // made again after a repair; without matches and fields
	matches  []string
	fields   map[string]string // of the first failure
}

func newBan(b *ledger.Ban, a *action, restored bool) *ban {
	x := &ban{
		id: addressOf(b), prefix: b.Prefix, failures: b.Story.Failures, time: float64(b.Since.UnixMicro()) / 1e6, bantime: a.banTime,
		count: max(b.Count, 1), restored: restored, fields: map[string]string{},
	}
	x.ip = x.id
	if b.Prefix.IsValid() {
		if x.family = "inet4"; b.Prefix.Addr().Is6() {
			x.family = "inet6"
		}
		if b.Ident != "" {
			if x.ip = b.Prefix.Addr().String(); !b.Prefix.IsSingleIP() {
				x.ip = b.Prefix.String()
			}
		}
	}
	if a.banTime < 0 || b.Jail == "" && b.Until.IsZero() {
		x.bantime = -1
	}
	for i, e := range b.Story.Evidence {
		x.matches = append(x.matches, e.Text)
		if i == 0 {
			for k, v := range e.Fields {
				x.fields[k] = v
			}
			if _, ok := x.fields["user"]; !ok && e.User != "" {
				x.fields["user"] = e.User
			}
		}
	}
	return x
}

// short is a ban without what logs say of it, for keeping.
func (b *ban) short() *ban {
	x := *b
	x.matches, x.fields, x.again = nil, nil, false
	return &x
}

// mostText is how much of what logs say, in bytes, a command is told in one value. A system's limit for one argument may be 128 KiB, for all of a
// command 256 KiB; beyond it the command would not be run at all.
const mostText = 60 << 10

// last gives the end of a text of lines, from the beginning of a line on if it can.
func last(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = strings.ToValidUTF8(s[len(s)-most:], "")
	if _, rest, found := strings.Cut(s, "\n"); found && rest != "" {
		return rest
	}
	return s
}

// seconds writes a whole number as Python writes such a float: with ".0".
func seconds(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// valueOf gives the values of a ban's tags.
func (a *action) valueOf(ctx context.Context, b *ban) values {
	earlier := func(jail string) (matches []string, failures int) {
		if a.h.o.History != nil && b.prefix.IsValid() {
			for _, o := range a.h.o.History(b.prefix, jail) {
				failures += o.Story.Failures
				for _, e := range o.Story.Evidence {
					matches = append(matches, e.Text)
				}
			}
		}
		if failures == 0 { // not written down yet
			return b.matches, b.failures
		}
		return matches, failures
	}
	count := func(pick func(Counts) int) string {
		if a.h.o.Counts == nil {
			return "0"
		}
		return strconv.Itoa(pick(a.h.o.Counts(a.name.jail)))
	}
	joined := func(list []string, _ int) string { return last(strings.Join(list, "\n"), mostText) }
	number := func(_ []string, n int) string { return strconv.Itoa(n) }
	return func(tag string) (string, bool) {
		switch tag {
		case "jail.name":
			return a.name.jail, true
		case "jail.found":
			return count(func(c Counts) int { return c.Found }), true
		case "jail.found_total":
			return count(func(c Counts) int { return c.FoundTotal }), true
		case "jail.banned":
			return count(func(c Counts) int { return c.Banned }), true
		case "jail.banned_total":
			return count(func(c Counts) int { return c.BannedTotal }), true
		case "family":
			return b.family, true
		case "time":
			return seconds(b.time), true
		}
		if b.id == "" { // about no ban
			return "", false
		}
		switch tag {
		case "ip":
			return b.ip, true
		case "fid":
			return b.id, true
		case "ip-rev":
			return reversed(b.prefix), true
		case "ip-host":
			if a.h.o.Name == nil || !b.prefix.IsSingleIP() {
				return "", true
			}
			return a.h.o.Name(ctx, b.prefix.Addr()), true
		case "failures":
			return strconv.Itoa(b.failures), true
		case "bantime":
			return strconv.FormatInt(int64(b.bantime), 10), true
		case "bancount":
			return strconv.Itoa(b.count), true
		case "matches":
			return last(strings.Join(b.matches, "\n"), mostText), true
		case "restored":
			if b.restored {
				return "1", true
			}
			return "0", true
		case "ipmatches":
			return joined(earlier("")), true
		case "ipjailmatches":
			return joined(earlier(a.name.jail)), true
		case "ipfailures":
			return number(earlier("")), true
		case "ipjailfailures":
			return number(earlier(a.name.jail)), true
		case "raw-ticket":
			return fmt.Sprintf("BanTicket: ip=%s time=%s bantime=%d bancount=%d #attempts=%d", b.ip, seconds(b.time), int64(b.bantime), b.count, b.failures), true
		}
		return "", false
	}
}

// reversed is the name of an address in the reverse tree of DNS, without the tree's own.
func reversed(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	var b strings.Builder
	raw := p.Addr().AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if p.Addr().Is4() {
			fmt.Fprintf(&b, "%d.", raw[i])
		} else {
			fmt.Fprintf(&b, "%x.%x.", raw[i]&15, raw[i]>>4)
		}
	}
	return b.String()
}
