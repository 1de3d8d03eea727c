package pflog_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/golden"
)

// printAll prints a file as pfwarden pflog does, JSON and text, with its rejects.
func printAll(t *testing.T, path string, system pflog.System) string {
	t.Helper()
	var out []byte
	r, err := pflog.Open(path, pflog.Options{Partial: true, OnReject: func(r pflog.Rejected) {
		r.Origin = filepath.Base(r.Origin)
		out = append(append(out, r.Error()...), '\n')
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p capture.Packet
	for r.Next(&p) == nil {
		out = append(pflog.AppendJSON(out, &p, system), '\n')
		out = append(pflog.AppendText(out, &p, system, time.UTC), '\n')
	}
	return string(out)
}

// TestVectors compares what is read from the vectors with golden files, which were checked against the vectors' README by hand.
func TestVectors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/vectors/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			golden.Check(t, strings.TrimSuffix(file, ".pcap")+".golden", printAll(t, file, pflog.Auto))
		})
	}
}

// TestDarwinNames shows that a system resolves what its dialect leaves open.
func TestDarwinNames(t *testing.T) {
	t.Parallel()
	got := printAll(t, "testdata/vectors/len61_darwin_le.pcap", pflog.Darwin)
	if !strings.Contains(got, `"action":"dummynet","reason":"dummynet"`) {
		t.Errorf("not resolved:\n%s", got)
	}
	got = printAll(t, "testdata/vectors/len61_netbsd_be.pcap", pflog.NetBSD)
	if !strings.Contains(got, `"action":"block","reason":"state-locked"`) {
		t.Errorf("not resolved:\n%s", got)
	}
}

// TestRealCaptures reads captures of outside people and compares with what tcpdump said of them.
func TestRealCaptures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file string
		want []string
	}{
		{"scapy_openbsd100_all.pcap", []string{
			"2020-12-07 13:12:47.335167 rule 5/0(match): block in on vio0: 10.200.200.254.43275 > 10.200.200.154.23: UDP, ttl 64, length 30",
			"2020-12-07 13:13:45.511869 rule 5/0(match): block in on vio0: 10.200.200.254.41917 > 10.200.200.154.23: Flags [S], seq 3368671730, ttl 64, length 64",
			"2020-12-07 13:13:49.809750 rule 5/0(match): block in on vio0: 10.200.200.254 > 10.200.200.154: ICMP echo request, ttl 255, length 84",
			"2020-12-07 14:50:29.329381 rule 5/0(match): block in on vlan3: 1111:1111:1111::1 > ff02::1:ff00:fc: ICMP6 neighbor solicitation, ttl 255, length 72",
			"2020-12-07 14:52:13.544920 rule 5/0(match): block in on vlan3: 1111:1111:1111::1.1257 > 1111:1111:1111::fc.23: Flags [S],",
			"2020-12-07 14:53:00.200952 rule 5/0(match): block in on vlan3: 1111:1111:1111::1.23381 > 1111:1111:1111::fc.22: UDP, ttl 64, length 49",
			"2020-12-07 14:54:24.329204 rule 4/0(match): pass in on vlan3: ",
			"2020-12-07 14:54:28.115086 rule 5/0(match): pass in on vlan3: 1111:1111:1111::1.31351 > 1111:1111:1111::fc.22: Flags [S],",
		}},
		{"gopacket_darwin61_udp.pcap", []string{
			"1970-01-01 00:00:00.000000 rule 0.logging.174/0(match): pass out on en0: 172.23.232.204.61695 > 172.23.232.255.8612: UDP, ttl 64, length 44",
		}},
		{"scapy_openbsd100_udp.pcap", []string{"scapy_openbsd100_udp.pcap: frame 1: the file ends within this record"}},
		{"scapy_openbsd100_icmp.pcap", []string{"scapy_openbsd100_icmp.pcap: frame 1: the file ends within this record"}},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for line := range strings.Lines(printAll(t, testkit.Recorded(t, "data/pflog/"+test.file), pflog.Auto)) {
				if !strings.HasPrefix(line, "{") {
					lines = append(lines, line)
				}
			}
			if len(lines) != len(test.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(test.want), strings.Join(lines, ""))
			}
			for i, want := range test.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d\n got %s\nwant %s", i+1, lines[i], want)
				}
			}
		})
	}
}

// read returns all packets of a file.
func read(t *testing.T, file []byte, options pflog.Options) ([]capture.Packet, error) {
	t.Helper()
	r, err := pflog.NewReader(bytes.NewReader(file), "test", options)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []capture.Packet
	for {
		var p capture.Packet
		if err := r.Next(&p); err != nil {
			return all, err
		}
		all = append(all, p)
	}
}
