package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"io/fs"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/internal/sample"
)

// bundled reads an embedded sample, decompressed.
func bundled(t *testing.T, name string) []byte {
	t.Helper()
	content, err := fs.ReadFile(sample.Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if content, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return content
}

// TestBundledIsGenerated makes the samples anew. Contents are compared uncompressed, since compress/flate may change.
func TestBundledIsGenerated(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got := bundled(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes; run go generate ./internal/sample", name)
		}
	}
	for _, name := range sample.Inputs() {
		if _, made := files[name]; !made {
			t.Errorf("%s is not generated", name)
		}
	}
}

// records decodes the bundled pflog.
func records(t *testing.T) []capture.Packet {
	t.Helper()
	file := bundled(t, sample.Pflog)
	header, err := pflog.ParseFileHeader(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := header.Decoder()
	var packets []capture.Packet
	for rest := file[pflog.FileHeaderLen:]; len(rest) > 0; {
		h := header.ParseRecordHeader(rest)
		rest = rest[pflog.RecordHeaderLen:]
		var p capture.Packet
		if cause := decoder.Decode(&p, rest[:h.Captured], h.Wire); cause != pflog.Accepted {
			t.Fatalf("record %d: %v", len(packets)+1, cause)
		}
		p.Time = h.Time
		packets = append(packets, p)
		rest = rest[h.Captured:]
	}
	return packets
}

func TestPflogIsADay(t *testing.T) {
	packets := records(t)
	if n := len(packets); n < 500 || n > 5000 {
		t.Errorf("%d records; want some hundred to few thousand", n)
	}
	last := sample.Date()
	for i, p := range packets {
		if p.Time.Before(last) || !p.Time.Before(sample.Date().AddDate(0, 0, 1)) {
			t.Errorf("record %d: %v is out of order or not of the day", i+1, p.Time)
		}
		last = p.Time
		if p.Truncated {
			t.Errorf("record %d is truncated", i+1)
		}
		for _, a := range []netip.Addr{p.Source, p.Destination} {
			if !documentation(a) {
				t.Errorf("record %d: %v is outside the documentation ranges", i+1, a)
			}
		}
	}
}

// TestPflogHolds counts what the sample is there for.
func TestPflogHolds(t *testing.T) {
	const reasonMatch = capture.ReasonMatch
	count := func(match func(p capture.Packet) bool) int {
		n := 0
		for _, p := range records(t) {
			if match(p) {
				n++
			}
		}
		return n
	}
	evidence := func(p capture.Packet) bool {
		return p.Action == capture.ActionBlock && p.Reason == reasonMatch && p.Direction == capture.In
	}
	doors := func(source string) int {
		seen := map[capture.Flow]bool{}
		prefix := netip.MustParsePrefix(source)
		for _, p := range records(t) {
			if prefix.Contains(p.Source) && evidence(p) {
				seen[capture.Flow{Destination: p.Destination, DestinationPort: p.DestinationPort}] = true
			}
		}
		return len(seen)
	}
	for _, c := range []struct {
		name     string
		got      int
		min, max int
	}{
		{"doors of the vertical scan", doors("198.51.100.23/32"), 90, 110},
		{"doors of the horizontal scan", doors("198.51.100.77/32"), 124, 124},
		{"doors of the slow scan", doors("192.0.2.200/32"), 20, 60},
		{"doors of the stealth scan", doors("192.0.2.33/32"), 32, 32},
		{"doors of the IPv6 scan", doors("2001:db8:bad:1::/64"), 40, 40},
		{"doors of the half scan", doors("192.0.2.66/32"), 4, 4},
		{"doors of the retrier", doors("198.51.100.151/32"), 1, 1},
		{"forged doors of the framed friend", doors("198.51.100.180/32"), 25, 25},
		{"backscatter", count(func(p capture.Packet) bool {
			return evidence(p) && p.TCPFlags&(capture.FlagSYN|capture.FlagACK) == capture.FlagSYN|capture.FlagACK || p.TCPFlags&capture.FlagRST != 0
		}), 200, 300},
		{"late ends of connections", count(func(p capture.Packet) bool { return p.TCPFlags == capture.FlagFIN|capture.FlagACK }), 54, 54},
		{"UDP", count(func(p capture.Packet) bool { return p.Protocol == 17 }), 120, 300},
		{"ICMP", count(func(p capture.Packet) bool { return p.Protocol == 1 || p.Protocol == 58 }), 120, 120},
		{"IPv6", count(func(p capture.Packet) bool { return p.IPVersion == 6 }), 80, 200},
		{"passed", count(func(p capture.Packet) bool { return p.Action == capture.ActionPass }), 80, 200},
		{"PF's own drops", count(func(p capture.Packet) bool { return p.Reason != reasonMatch }), 8, 8},
		{"outbound blocks", count(func(p capture.Packet) bool {
			return p.Action == capture.ActionBlock && p.Direction == capture.Out
		}), 12, 12},
	} {
		if c.got < c.min || c.got > c.max {
			t.Errorf("%s: %d, want %d to %d", c.name, c.got, c.min, c.max)
		}
	}
}

func TestLogs(t *testing.T) {
	for _, c := range []struct{ name, file, pattern string }{
		{"sshd lines", sample.AuthLog, `^Oct 14 \d\d:\d\d:\d\d gw sshd-session\[\d+\]: \S`},
		{"error log lines", sample.ErrorLog, `^\[Wed Oct 14 \d\d:\d\d:\d\d\.\d{6} 2026\] \[\w+:\w+\] \[pid \d+:tid \d+\] \[client \S+:\d+\] \S`},
		{"access log lines", sample.AccessLog, `^\S+ - \S+ \[14/Oct/2026:\d\d:\d\d:\d\d \+0000\] "[^"]+" \d{3} \d+ "-" "[^"]+"$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := strings.Split(strings.TrimSuffix(string(bundled(t, c.file)), "\n"), "\n")
			pattern := regexp.MustCompile(c.pattern)
			for i, l := range lines {
				if !pattern.MatchString(l) {
					t.Errorf("line %d: %s", i+1, l)
				}
			}
			addresses := 0
			for _, word := range regexp.MustCompile(`[0-9a-f]*[.:][0-9a-f:.]+`).FindAllString(strings.Join(lines, "\n"), -1) {
				// The error log has address:port; an IPv6 address stands in brackets there.
				for _, candidate := range []string{word, strings.TrimSuffix(word, ":"+word[strings.LastIndex(word, ":")+1:])} {
					if a, err := netip.ParseAddr(candidate); err == nil {
						addresses++
						if !documentation(a) {
							t.Errorf("%v is outside the documentation ranges", a)
						}
					}
				}
			}
			if addresses < len(lines) {
				t.Errorf("%d addresses in %d lines", addresses, len(lines))
			}
		})
	}
}

func TestLabels(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(bundled(t, sample.Labels))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"address", "class", "want", "first", "last"}, rows[0]); diff != "" {
		t.Fatal(diff)
	}
	readme := string(bundled(t, "README.md"))
	labelled := map[netip.Addr]bool{}
	for _, row := range rows[1:] {
		a, err := netip.ParseAddr(row[0])
		if err != nil || labelled[a] {
			t.Errorf("%v: not an address, or labelled twice: %v", row, err)
		}
		labelled[a] = true
		if !strings.Contains(readme, "`"+row[1]+"`") {
			t.Errorf("the README does not tell of class %s", row[1])
		}
		first, err1 := time.Parse(time.RFC3339, row[3])
		last, err2 := time.Parse(time.RFC3339, row[4])
		if err1 != nil || err2 != nil || first.Before(sample.Date()) || last.Before(first) || !last.Before(sample.Date().AddDate(0, 0, 1)) {
			t.Errorf("%v: not a span of the day", row)
		}
	}
	scanner6 := netip.MustParsePrefix("2001:db8:bad:1::/64") // labelled once, by the first of its addresses
	for _, p := range records(t) {
		if !labelled[p.Source] && !scanner6.Contains(p.Source) && !own(p.Source) {
			t.Errorf("%v sends packets and has no label", p.Source)
		}
	}
}

func own(a netip.Addr) bool { return within(a, sample.OwnNetworks()...) }

// documentation tells whether an address is set aside for documentation (RFC 5737, RFC 3849).
func documentation(a netip.Addr) bool {
	return within(a, "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
}

func within(a netip.Addr, networks ...string) bool {
	for _, n := range networks {
		if netip.MustParsePrefix(n).Contains(a) {
			return true
		}
	}
	return false
}
