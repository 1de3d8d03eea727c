package filter

import (
	"fmt"
	"regexp"
	"strings"
)

const (
	tagIP4 = `(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})`
	// A look-behind for the colon would be fail2ban's way to end an address in "::"; every round of the loop ends in a
	// colon anyway, so that one more colon is all it says.
	tagIP6  = `(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|:))`
	tagDNS  = `(?P<dns>[\w\-.^_]*\w)`
	tagCIDR = `(?P<cidr>\d+)`
	tagAddr = `\[?(?:` + tagIP4 + `|` + tagIP6 + `)\]?`
)

var (
	anyTag  = regexp.MustCompile(`</?[\w\-]+/?>`)
	openTag = regexp.MustCompile(`^<F-([A-Z0-9_\-]+)>$`)
)

// Expand shows a regular expression with fail2ban's tags replaced, as fail2ban shows it.
func Expand(regex, useDNS string) string {
	return strings.ReplaceAll(expandTags(regex, useDNS), tagIP6, strings.TrimSuffix(tagIP6, ":))")+"(?<=:):))")
}

// expandTags replaces fail2ban's tags by groups. useDNS "no" takes the names out of <HOST>.
func expandTags(regex, useDNS string) string {
	skips, open := 0, map[string]int{}
	return anyTag.ReplaceAllStringFunc(regex, func(tag string) string {
		switch tag {
		case "<IP4>", "<F-IP4/>":
			return tagIP4
		case "<IP6>", "<F-IP6/>":
			return tagIP6
		case "<DNS>", "<F-DNS/>":
			return tagDNS
		case "<ADDR>":
			return tagAddr
		case "<HOST>":
			if useDNS == "no" {
				return tagAddr
			}
			return `(?:` + tagAddr + `|` + tagDNS + `)`
		case "<TIME>":
			return "" // where old releases of fail2ban left a mark for the time stamp that was cut out
		case "<CIDR>":
			return tagCIDR
		case "<SUBNET>":
			return `\[?(?:` + tagIP4 + `|` + tagIP6 + `)(?:/` + tagCIDR + `)?\]?`
		case "<F-ID/>":
			return `(?P<fid>\S+)`
		case "<F-PORT/>":
			return `(?P<fport>\w+)`
		case "<SKIPLINES>":
			skips++
			return fmt.Sprintf(`\n(?P<skiplines%d>(?:(?:.*\n)*?))`, skips)
		}
		if m := openTag.FindStringSubmatch(tag); m != nil {
			open[m[1]]++
			return `(?P<` + groupName(m[1]) + `>`
		}
		if name, ok := strings.CutPrefix(tag, "</F-"); ok {
			if name = strings.TrimSuffix(name, ">"); open[name] > 0 {
				open[name]--
				return `)`
			}
		}
		return tag
	})
}

func groupName(tag string) string {
	switch tag {
	case "ID":
		return "fid"
	case "PORT":
		return "fport"
	}
	return strings.ToLower(strings.ReplaceAll(tag, "-", "_"))
}
