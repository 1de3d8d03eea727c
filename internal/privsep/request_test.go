package privsep

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

func prefixes(list ...string) (out []address) {
	for _, s := range list {
		out = append(out, address{Prefix: netip.MustParsePrefix(s)})
	}
	return out
}

func requests() []*request {
	return []*request{
		{kind: kindOpen, way: openFile, path: "/var/log/authlog"},
		{kind: kindOpen, way: openStatus, path: "/var/log/authlog.0.gz"},
		{kind: kindOpen, way: openEvents},
		{kind: kindCapture},
		{kind: kindAnchor, way: anchorLoad, anchor: "pfwarden"},
		{kind: kindAnchor, way: anchorCheck, anchor: "a/b", alternate: true},
		{kind: kindTable, way: tableAdd, anchor: "pfwarden", table: "banned", addresses: prefixes("192.0.2.7/32", "2001:db8::/64")},
		{kind: kindTable, way: tableDelete, anchor: "pfwarden", table: "banned", addresses: []address{{netip.MustParsePrefix("192.0.2.7/32"), true}}},
		{kind: kindTable, way: tableFlush, anchor: "pfwarden", table: "banned"},
		{kind: kindKill, addresses: prefixes("192.0.2.7/32"), towards: true},
		{kind: kindRead, way: readInfo},
		{kind: kindRead, way: readCounters, anchor: "pfwarden", table: "suspects"},
	}
}

// TestRequests writes each request and reads it back; every shortened or lengthened one is refused.
func TestRequests(t *testing.T) {
	t.Parallel()
	for _, r := range requests() {
		b := r.encode()
		back, err := parseRequest(r.kind, b)
		if err != nil {
			t.Errorf("%s: %v", r, err)
			continue
		}
		if !bytes.Equal(back.encode(), b) {
			t.Errorf("%s came back as %s", r, back)
		}
		for n := range len(b) {
			if _, err := parseRequest(r.kind, b[:n]); !errors.Is(err, errProtocol) {
				t.Errorf("%s cut to %d bytes: %v", r, n, err)
			}
		}
		if _, err := parseRequest(r.kind, append(bytes.Clone(b), 0)); !errors.Is(err, errProtocol) {
			t.Errorf("%s with a byte too many: %v", r, err)
		}
	}
}

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		kind    byte
		payload []byte
	}{
		{"no such kind", 0, nil},
		{"a seventh request", kindRead + 1, []byte{1}},
		{"no such way", kindOpen, []byte{99, 0, 0}},
		{"host bits", kindKill, []byte{0, 0, 4, 0, 24, 192, 0, 2, 7}},
		{"too many bits", kindKill, []byte{0, 0, 4, 0, 33, 192, 0, 2, 7}},
		{"mapped IPv4", kindKill, append([]byte{0, 0, 6, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 192, 0, 2, 7)},
		{"family 5", kindKill, []byte{0, 0, 5, 0, 32, 192, 0, 2, 7}},
		{"a newline in a table's name", kindTable, []byte{tableFlush, 0, 0, 0, 3, 'a', '\n', 'b', 0, 0, 0, 0}},
		{"a NUL in a path", kindOpen, []byte{openFile, 0, 3, '/', 0, 'b'}},
		{"a negated add", kindTable, []byte{tableAdd, 0, 0, 0, 0, 0, 0, 0, 1, 4, 1, 32, 192, 0, 2, 7}},
		{"an add of nothing", kindTable, []byte{tableAdd, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"more addresses than there may be", kindTable, []byte{tableAdd, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}},
	} {
		if r, err := parseRequest(c.kind, c.payload); !errors.Is(err, errProtocol) {
			t.Errorf("%s: %v, %v", c.name, r, err)
		}
	}
}

// FuzzRequest: what is accepted is written in exactly one way.
func FuzzRequest(f *testing.F) {
	for _, r := range requests() {
		f.Add(r.kind, r.encode())
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		r, err := parseRequest(kind, payload)
		if err != nil {
			if !errors.Is(err, errProtocol) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(r.encode(), payload) {
			t.Fatalf("%s is written as % x, came as % x", r, r.encode(), payload)
		}
		for a := range r.each() {
			if a.Masked() != a.Prefix {
				t.Fatalf("%v is not canonical", a)
			}
		}
	})
}
