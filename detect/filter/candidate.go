package filter

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"pfwarden/detect"
)

// Candidate is one match of a filter: it becomes an observation once names are resolved and ignore lists are asked.
type Candidate struct {
	Regex    int                 // index of the failregex (of the loginregex, if Login)
	Login    bool                // a successful log-in, no failure
	ID       string              // whom it names: canonical address, prefix, raw text or F-ID; "" if Host must be resolved first
	Addr     netip.Addr          // the address in the line; invalid if there is none or it is no address
	Prefix   netip.Prefix        // where the pattern captured a prefix length
	Host     string              // name to resolve; each of its addresses is one failure. Never proven
	Time     time.Time           // when it happened, see TimeRule
	HasTime  bool                // false only in replay, for lines before the first time stamp
	Fields   detect.Fields       // named groups of the pattern
	Lists    map[string][]string // those of them that hold several values ("users" and tuples)
	Attempts int                 // failures that it counts for: 1, or the group "repeats" (syslog's "message repeated N times")
	Lines    int                 // lines that the failure consists of (fail2ban shows them as its attempts, and counts one)
	Proven   bool                // the filter's proof holds and the address stands in the line itself
	Text     string              // the line, cut to a bound
}

// maxRepeats bounds what one line may count for.
const maxRepeats = 1000

// repeats is how many failures a match stands for.
func repeats(fields map[string]string) int {
	n, err := strconv.Atoi(fields["repeats"])
	if err != nil || n < 1 {
		return 1
	}
	return min(n, maxRepeats)
}

// identify fills in whom a failure names. It reports false if it names nobody.
func (c *Candidate) identify(fields map[string]string, useDNS string) bool {
	host, isName := "", false
	switch {
	case fields["ip4"] != "":
		host = fields["ip4"]
	case fields["ip6"] != "":
		host = fields["ip6"]
	case fields["dns"] != "":
		host, isName = fields["dns"], true
	}
	fid := fields["fid"]
	switch {
	case host == "" && fid == "":
		return false
	case host == "":
		c.ID, c.Addr, c.Prefix = parseID(fid, fields["cidr"])
		return true
	case isName && useDNS == "no" && fid == "":
		return false
	case isName && useDNS != "raw":
		c.Host = host
	default:
		c.ID, c.Addr, c.Prefix = parseID(host, fields["cidr"])
	}
	if fid != "" && fid != c.ID {
		fields["ip"] = c.ID
		c.ID = fid
		if c.Host != "" {
			fields["ip"] = c.Host
		}
	}
	return true
}

// parseID brings an address to its canonical form; what is no address stays as it is.
func parseID(text, cidr string) (id string, addr netip.Addr, prefix netip.Prefix) {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil || addr.Zone() != "" {
		if p, err := netip.ParsePrefix(text); err == nil {
			p = p.Masked()
			return p.String(), p.Addr(), p
		}
		return text, netip.Addr{}, netip.Prefix{}
	}
	addr = addr.Unmap()
	if bits, err := strconv.Atoi(cidr); err == nil && bits < addr.BitLen() {
		prefix = netip.PrefixFrom(addr, bits).Masked()
		if bits == 0 { // fail2ban forgets the length 0
			return prefix.Addr().String(), addr, prefix
		}
		return prefix.String(), addr, prefix
	}
	return addr.String(), addr, netip.Prefix{}
}

// fields collects the groups that took part in a match.
func (p *pattern) fields(text string, m []int, into map[string]string) {
	for i, name := range p.Names() {
		if name != "" && m[2*i] >= 0 {
			into[name] = text[m[2*i]:m[2*i+1]]
		}
	}
}

// merge carries out alt_NAME (a value for NAME where that is empty) and tuple_NAME (NAME becomes a list).
func (p *pattern) merge(fields map[string]string) (lists map[string][]string) {
	var names []string
	for _, n := range p.Names() {
		if strings.HasPrefix(n, "alt_") || strings.HasPrefix(n, "tuple_") {
			names = append(names, n)
		}
	}
	if names == nil {
		return nil
	}
	sortStrings(names)
	for _, n := range names {
		kind, base, _ := strings.Cut(n, "_")
		base = trimNumber(base)
		value, ok := fields[n]
		switch {
		case !ok:
		case kind == "alt" && fields[base] == "":
			fields[base] = value
		case kind == "tuple":
			if lists == nil {
				lists = map[string][]string{}
			}
			if lists[base] == nil {
				lists[base] = []string{fields[base]}
			}
			lists[base] = append(lists[base], value)
		}
	}
	for base, values := range lists {
		fields[base] = strings.Join(values, ", ")
	}
	return lists
}

// trimNumber takes a trailing _N off a group's name.
func trimNumber(name string) string {
	i := strings.LastIndexByte(name, '_')
	if i <= 0 {
		return name
	}
	if _, err := strconv.Atoi(name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}
