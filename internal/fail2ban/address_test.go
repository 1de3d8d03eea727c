package fail2ban

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"pfwarden/internal/screen"
	"pfwarden/internal/testkit"
)

// TestRecordedAddresses compares what addresses and networks come to, by the parser that ignore lists and candidates use.
func TestRecordedAddresses(t *testing.T) {
	type row struct {
		In, Family, Str string
		Cidr            *int
		Plen            int
	}
	testkit.EachRecord(t, "data/fail2ban/units_ipaddr.jsonl", func(_ int, c row) {
		if c.Family == "raw" {
			return // asked to take the text as it is
		}
		text := c.In
		if c.Cidr != nil && *c.Cidr >= 0 {
			text += fmt.Sprint("/", *c.Cidr)
		}
		p, err := screen.ParsePrefix(text)
		family, str, length := "invalid", c.In, 0
		if err == nil {
			family, str, length = "inet4", p.String(), p.Bits()
			if p.Addr().Is6() {
				family = "inet6"
			}
			if p.IsSingleIP() {
				str = p.Addr().String()
			}
		}
		if family != c.Family || str != c.Str || length != c.Plen {
			t.Errorf("%q: %s %s %d, want %s %s %d", text, family, str, length, c.Family, c.Str, c.Plen)
		}
	})
}

// named are the answers that names of the recording had.
var named = map[string][]string{
	"test-local-net": {"127.0.0.1/8", "::1"}, "test-subnet-a": {"192.0.2.0/29", "2001:db8::/125"}, "test-subnet-b": {"192.0.2.16/29", "2001:db8::10/125"},
	"fail2ban.org": {"145.239.69.22", "2001:41d0:303:3d16::1"},
}

// TestRecordedNetworks asks ignore lists of one entry each whether they hold an address or a network.
func TestRecordedNetworks(t *testing.T) {
	type row struct {
		IP, Net string
		Result  bool
	}
	seen := map[string]map[bool]bool{}
	testkit.EachRecord(t, "data/fail2ban/units_innet.jsonl", func(_ int, c row) {
		key := c.IP + " in " + c.Net
		if seen[key] == nil {
			seen[key] = map[bool]bool{}
		}
		seen[key][c.Result] = true
		list, err := screen.NewList([]string{c.Net}, nobody{}, nil)
		if err == nil {
			var held []netip.Prefix
			for _, text := range named[c.Net] {
				p, err := screen.ParsePrefix(text)
				testkit.Must(t, err)
				held = append(held, p)
			}
			list.Put("name "+c.Net, held)
		} else if c.Result { // what is no address, network or name holds nothing
			t.Errorf("%s: %v", c.Net, err)
		}
		p, err := screen.ParsePrefix(c.IP)
		in := err == nil && list != nil && list.Covers(p)
		if in != c.Result && len(seen[key]) == 1 {
			t.Errorf("%s: %v, want %v", key, in, c.Result)
		}
	})
	// The second answer of these was to a text that was not to be taken for an address, which the recording does not show.
	for key, answers := range seen {
		if len(answers) > 1 && key != "93.184.0.1 in 93.184.0.0/24" && key != "2606:2800:220:1:248:1893:25c8:1 in 2606:2800:220:1:248:1893:25c8:0/120" {
			t.Errorf("%s: recorded with both answers", key)
		}
	}
}

// nobody is a resolver that knows no name.
type nobody struct{}

func (nobody) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("no such name")
}
