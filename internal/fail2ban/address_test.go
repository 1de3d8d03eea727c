package fail2ban

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"pfwarden/internal/screen"
)

// TestRecordedAddresses compares what addresses and networks come to, by the parser that ignore lists and candidates use.
func TestRecordedAddresses(t *testing.T) {
	type row struct {
		In, Family, Str string
		Cidr            *int
		Plen            int
	}
	cases(t, "units_ipaddr.jsonl", func(t *testing.T, c row) {
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

// TestRecordedNetworks asks whether addresses lie in networks. Names and files of addresses are looked up elsewhere.
func TestRecordedNetworks(t *testing.T) {
	type row struct {
		IP, Net string
		Result  json.RawMessage
	}
	compared, seen := 0, map[string]string{}
	cases(t, "units_innet.jsonl", func(t *testing.T, c row) {
		p, err := screen.ParsePrefix(c.Net)
		if err != nil {
			return
		}
		a, err := netip.ParseAddr(c.IP)
		in := err == nil && screen.NewSet(p).Contains(a)
		key := c.IP + " " + c.Net
		if before, ok := seen[key]; ok && before != string(c.Result) {
			return // recorded again with a text that was not to be taken for an address, which the recording does not show
		}
		seen[key] = string(c.Result)
		compared++
		if fmt.Sprint(in) != string(c.Result) {
			t.Errorf("%s in %s: %v, want %s", c.IP, c.Net, in, c.Result)
		}
	})
	t.Logf("%d compared", compared)
}
