package hooks

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"pfwarden/internal/screen"
)

// maxIdentifier bounds an identifier that is no address, in bytes.
const maxIdentifier = 1024

var (
	wholeNumber = regexp.MustCompile(`^-?[0-9]{1,15}$`)
	anyNumber   = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,9})?$`)
	hostName    = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9._-]{0,254})?$`)
	rawTicket   = regexp.MustCompile(`^BanTicket: ip=(.*) time=(\S*) bantime=(\S*) bancount=(\S*) #attempts=(\S*)$`)
)

// kinds tell what the values of tags may be that another process gives for one command.
type kinds struct {
	jails map[string]bool
	// others: a jail that may have this run knows sources by identifiers that are no addresses, such as users' names.
	others bool
}

// check says what is wrong with the values of one command: each must be of its tag's kind, and they must agree with each other. Texts of logs, as
// <matches> and <F-USER> are, may hold anything but NUL: they reach no shell but as arguments.
func (k kinds) check(fields []field) error {
	var source netip.Prefix
	known := false
	for _, f := range fields {
		if !k.fits(f.tag, f.value) {
			return fmt.Errorf("%.40q is no value for <%s>", f.value, f.tag)
		}
		if f.tag == "ip" {
			source, known = canonical(f.value)
		}
	}
	for _, f := range fields {
		agrees := true
		switch {
		case !known:
		case f.tag == "family":
			agrees = f.value == map[bool]string{true: "inet4", false: "inet6"}[source.Addr().Is4()]
		case f.tag == "ip-rev":
			agrees = f.value == reversed(source)
		}
		if !agrees {
			return fmt.Errorf("%.40q as <%s> does not belong to %s", f.value, f.tag, source)
		}
	}
	return nil
}

// fits tells whether a value is of its tag's kind.
func (k kinds) fits(tag, v string) bool {
	if strings.Contains(v, "\x00") || len(v) > maxValue {
		return false
	}
	switch tag {
	case "jail.name", "name":
		return k.jails[v]
	case "family":
		return v == "" || v == "inet4" || v == "inet6"
	case "restored":
		return v == "0" || v == "1"
	case "failures", "bantime", "bancount", "ipfailures", "ipjailfailures", "jail.found", "jail.found_total", "jail.banned", "jail.banned_total":
		return wholeNumber.MatchString(v)
	case "time":
		return anyNumber.MatchString(v)
	case "ip-rev":
		return reverse(v)
	case "ip-host":
		return hostName.MatchString(v)
	case "ip", "fid":
		return k.source(v)
	case "raw-ticket":
		m := rawTicket.FindStringSubmatch(v)
		return m != nil && k.source(m[1]) && anyNumber.MatchString(m[2]) && !slices.ContainsFunc(m[3:], func(n string) bool { return !wholeNumber.MatchString(n) })
	case "matches", "ipmatches", "ipjailmatches":
		return true
	}
	return failurePattern.MatchString("<" + tag + ">") // of others nobody has values
}

// source tells whether a value can be whom a ban is about: an address or a prefix, or, in jails that know others, an identifier that is one word
// even where a command does not quote it, and no option.
func (k kinds) source(v string) bool {
	if _, ok := canonical(v); ok {
		return true
	}
	return k.others && v != "" && len(v) <= maxIdentifier && v[0] != '-' && !strings.ContainsFunc(v, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("*?[", r)
	})
}

// canonical reads an address or a prefix that is written in the one way in which we write it.
func canonical(v string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(v)
	if a, aerr := netip.ParseAddr(v); aerr == nil {
		if a.Zone() != "" || a.Is4In6() || a.String() != v {
			return p, false
		}
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	if err != nil || p.Masked() != p || p.Addr().Is4In6() || p.String() != v {
		return netip.Prefix{}, false
	}
	return p, true
}

// reverse tells whether a value is the reversed name of an address, or none.
func reverse(v string) bool {
	switch labels := strings.Split(strings.TrimSuffix(v, "."), "."); {
	case v == "":
		return true
	case !strings.HasSuffix(v, "."):
		return false
	case len(labels) == 32:
		return !slices.ContainsFunc(labels, func(l string) bool { return len(l) != 1 || !strings.Contains("0123456789abcdef", l) })
	default:
		_, err := netip.ParseAddr(strings.Join(labels, "."))
		return err == nil && len(labels) == 4
	}
}

// ignoring says what is wrong with the values of an ignore command. What a line held may be no address where a jail has it so, or where its name is
// yet to be looked up; it may be empty.
func (b *Book) ignoring(c *screen.Command, values []string) error {
	var fields []field
	for i, t := range c.Tags() {
		if values[i] != "" {
			fields = append(fields, field{strings.Trim(t, "<>"), values[i]})
		}
	}
	return kinds{b.jails, len(b.others) > 0}.check(fields)
}
