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
	Time     time.Time           // when it happened, as the log and its Phase tell
	HasTime  bool                // false in replay for lines before the first time stamp, and with NoFindTime for those without any
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
func repeats(f fields) int {
	text, ok := f.lookup("repeats")
	if !ok {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 1
	}
	return min(n, maxRepeats)
}

// identify reports whether a failure with these fields names anybody.
func (f fields) identify(useDNS string) bool {
	return f.get("fid") != "" || f.get("ip4") != "" || f.get("ip6") != "" || f.get("dns") != "" && useDNS != "no"
}

// identify fills in whom a failure names. Where that is not the address in the line, the field "ip" tells the address.
func (c *Candidate) identify(f *fields, useDNS string) {
	host, fid := f.get("ip4"), f.get("fid")
	if host == "" {
		host = f.get("ip6")
	}
	name := ""
	if host == "" {
		name = f.get("dns")
	}
	switch {
	case host == "" && name == "":
		c.ID, c.Addr, c.Prefix = parseID(fid, f.get("cidr"))
		return
	case host != "":
		c.ID, c.Addr, c.Prefix = parseID(host, f.get("cidr"))
	case useDNS == "raw":
		c.ID, c.Addr, c.Prefix = parseID(name, f.get("cidr"))
	default:
		c.Host = name
	}
	if fid != "" && fid != c.ID {
		f.set("ip", c.ID)
		c.ID = fid
		if c.Host != "" {
			f.set("ip", c.Host)
		}
	}
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
	if cidr == "" {
		return addr.String(), addr, netip.Prefix{}
	}
	if bits, err := strconv.Atoi(cidr); err == nil && bits < addr.BitLen() {
		prefix = netip.PrefixFrom(addr, bits).Masked()
		if bits == 0 { // fail2ban forgets the length 0
			return prefix.Addr().String(), addr, prefix
		}
		return prefix.String(), addr, prefix
	}
	return addr.String(), addr, netip.Prefix{}
}
