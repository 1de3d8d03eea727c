package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pfwarden/internal/ledger"
)

func TestLookUpOrigins(t *testing.T) {
	ask := func(_ context.Context, name string) ([]string, error) {
		switch name {
		case "7.100.51.198.origin.asn.cymru.com":
			return []string{"64500 | 198.51.100.0/24 | US | arin | 2001-01-01", "64496 | 198.51.100.0/24 | US |  | "}, nil
		case "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.origin6.asn.cymru.com":
			return nil, &net.DNSError{IsNotFound: true}
		case "9.100.51.198.origin.asn.cymru.com":
			return []string{"not five fields"}, nil
		}
		return nil, errors.New("out of reach: " + name)
	}
	ban := func(p string) ledger.Ban { return ledger.Ban{Prefix: netip.MustParsePrefix(p)} }
	got := lookUpOrigins(t.Context(), ask, []ledger.Ban{
		ban("198.51.100.7/32"), {Ident: "somebody"}, ban("2001:db8::7/128"), ban("198.51.100.9/32"), ban("203.0.113.0/24"),
	})
	want := []origin{{"64496, 64500", "US", "arin, unknown"}, {"nxdomain", "nxdomain", "nxdomain"}, {"error", "error", "error"}, {"error", "error", "error"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(origin{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
