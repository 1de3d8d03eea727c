package pfctl_test

import (
	"net/netip"
	"testing"

	"pfwarden/pfctl"
)

func FuzzParseShow(f *testing.F) {
	f.Add([]byte("   192.0.2.10\n\tCleared:     Sun Nov 22 13:47:35 2026\n\tIn/Block:    [ Packets: 3                  Bytes: 180                ]\n"))
	f.Add([]byte("  !10.0.0.0/8\n   ::1@em0\n\tCleared: 123\n\tActive States:      4\n\tWeight:             1\n\tOut/XPass:   [ Packets: 18446744073709551615 Bytes: 0 ]\n"))
	f.Add([]byte("A  1.2.3.4\n\tIn/Block: [ Packets: Bytes: ]\n\t\n   1.2.3.4/33\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := pfctl.ParseShow(b)
		for _, a := range list {
			if !a.Prefix.IsValid() {
				t.Errorf("not an address: %+v", a)
			}
		}
	})
}

func FuzzParseTables(f *testing.F) {
	f.Add([]byte("-pa-r-C\tbanned@fw/svc\n\tAddresses:   4\n\tCleared:     Sun Nov 22 13:47:35 2026\n\tReferences:  [ Anchors: 0                  Rules: 1                  ]\n\tEvaluations: [ NoMatch: 2                  Match: 6                  ]\n"))
	f.Add([]byte("-pa-r--\tbanned\tfw/svc\ncpairhC\tx\n-\t\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := pfctl.ParseTables(b)
		for _, i := range list {
			if i.Name == "" {
				t.Errorf("a table without a name: %+v", i)
			}
		}
	})
}

func FuzzParseStates(f *testing.F) {
	f.Add([]byte("all tcp 203.0.113.1:22 <- 192.0.2.50:1001       CLOSED:SYN_SENT\nem0 tcp 10.0.0.5:3333 (203.0.113.5:61212) -> 192.0.2.50:80       ESTABLISHED:ESTABLISHED\n"))
	f.Add([]byte("all tcp 2001:db8::1[22] <- 2001:db8::50[1001]       CLOSED:SYN_SENT\nall icmp6 fe80::1%em0[1] <- ::1[2] 0:0\n   age 00:00:01\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		pfctl.ParseStates(b, func(a netip.Addr) {
			if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
				t.Errorf("not a plain address: %v", a)
			}
		})
	})
}

// TestParseStates reads the forms of the systems.
func TestParseStates(t *testing.T) {
	text := `all tcp 203.0.113.1:22 <- 192.0.2.50:1001       CLOSED:SYN_SENT
em0 tcp 10.0.0.5:3333 (203.0.113.5:61212) -> 192.0.2.51:80       ESTABLISHED:ESTABLISHED
   age 00:00:10, expires in 23:59:50, 5:4 pkts, 300:240 bytes, rule 1
all udp 2001:db8::1[53] <- 2001:db8::50[1001]       SINGLE:MULTIPLE
all icmp 203.0.113.1:8 <- 192.0.2.52:0       0:0
nonsense
`
	got := map[string]bool{}
	states, skipped := pfctl.ParseStates([]byte(text), func(a netip.Addr) { got[a.String()] = true })
	if states != 4 || skipped != 1 {
		t.Errorf("%d states, %d skipped", states, skipped)
	}
	for _, a := range []string{"203.0.113.1", "192.0.2.50", "10.0.0.5", "203.0.113.5", "192.0.2.51", "2001:db8::1", "2001:db8::50", "192.0.2.52"} {
		if !got[a] {
			t.Errorf("%s was not found in %v", a, got)
		}
	}
}
