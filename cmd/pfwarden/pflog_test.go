package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const vectors = "../../capture/pflog/testdata/vectors/"

// TestPflog runs the verb as a user does.
func TestPflog(t *testing.T) {
	t.Parallel()
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	whole, err := os.ReadFile(vectors + "mixed_61_69_100.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, whole[:len(whole)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	mixed := filepath.Join(filepath.Dir(cut), "mixed.pcapng")
	if err := os.WriteFile(mixed, ethernetBlocks(), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		args   []string
		stdin  string // path of what is piped in
		lines  int
		want   string // in the output
		stderr string // in the errors
		code   int
	}{
		{"text", []string{vectors + "len100_openbsd_le.pcap", "--timezone", "UTC"}, "", 3, "2023-11-14 22:13:21.123456 rule 7.relayd.3/0(match): pass in on em0: 2001:db8::7.40000 > 2001:db8::5.22: Flags [S]", "", 0},
		{"zone", []string{vectors + "len100_openbsd_le.pcap", "--timezone", "Asia/Kolkata"}, "", 3, "2023-11-15 03:43:21.123456 rule", "", 0},
		{"json from standard input", []string{"-o", "json"}, vectors + "old17_be.pcap", 1, `"dialect":"old"`, "", 0},
		{"dash", []string{"-o", "json", "-"}, vectors + "old17_be.pcap", 1, `"dialect":"old"`, "", 0},
		{"filter", []string{"--filter", "ip6 and tcp dst port 22", vectors + "len61_netbsd_be.pcap"}, "", 1, "pass out on wm0", "", 0},
		{"dialect", []string{"-o", "json", "--dialect", "darwin", vectors + "len61_darwin_le.pcap"}, "", 2, `"action":"dummynet"`, "", 0},
		{"merged", []string{"-o", "json", vectors + "mixed_61_69_100.pcap", vectors + "len100_openbsd_le.pcap"}, "", 6, "", "", 0},
		{"rejected record", []string{vectors + "edge_len0.pcap"}, "", 0, "", "edge_len0.pcap: frame 1: not a pflog header", 0},
		{"cut file", []string{cut}, "", 2, "rule 2/0", "cut.pcap: frame 3: the file ends within this record", 0},
		{"other interfaces", []string{mixed}, "", 0, "", "mixed.pcapng: packets of other interfaces than pflog, passed over: 1", 0},
		{"one of two is missing", []string{"/nonexistent", vectors + "len100_nano.pcap"}, "", 1, "rule 7/0", "open /nonexistent: no such file", 1},
		{"not pflog", []string{"pflog_test.go"}, "", 0, "", "neither pcap nor pcapng", 1},
		{"bad filter", []string{"--filter", "tcp and bogus", "x"}, "", 0, "", "", 2},
		{"bad dialect", []string{"--dialect", "plan9", "x"}, "", 0, "", "", 2},
		{"bad zone", []string{"--timezone", "Nowhere", "x"}, "", 0, "", "", 2},
		{"bad order", []string{"--id-order", "middle", "x"}, "", 0, "", "", 2},
		{"bad direction", []string{"--old-direction", "up", "x"}, "", 0, "", "", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out, complaints bytes.Buffer
			streams := stdio{In: strings.NewReader(""), Out: &out, Err: &complaints}
			if test.stdin != "" {
				f, err := os.Open(test.stdin)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				streams.In = f
			}
			err := run(t.Context(), append([]string{"pflog"}, test.args...), streams)
			if code := exitCode(err); code != test.code {
				t.Errorf("exit status %d, want %d: %v", code, test.code, err)
			}
			if n := strings.Count(out.String(), "\n"); n != test.lines || !strings.Contains(out.String(), test.want) {
				t.Errorf("%d lines, want %d with %q:\n%s", n, test.lines, test.want, &out)
			}
			if !strings.Contains(complaints.String(), test.stderr) || test.stderr == "" && complaints.Len() > 0 {
				t.Errorf("standard error %q, want %q", &complaints, test.stderr)
			}
		})
	}
}

// TestPflogMergesByTime reads two files whose records interleave.
func TestPflogMergesByTime(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	streams := stdio{In: strings.NewReader(""), Out: &out, Err: os.Stderr}
	if err := run(t.Context(), []string{"pflog", "-o", "json", vectors + "len100_openbsd_le.pcap", vectors + "mixed_61_69_100.pcap"}, streams); err != nil {
		t.Fatal(err)
	}
	last := ""
	for line := range strings.Lines(out.String()) {
		var record struct{ Time string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Time < last {
			t.Errorf("%s after %s", record.Time, last)
		}
		last = record.Time
	}
}

// ethernetBlocks is a pcapng file of one packet, that came from the one of its two interfaces that is not pflog's (draft-ietf-opsawg-pcapng).
func ethernetBlocks() (out []byte) {
	block := func(kind uint32, body ...uint32) {
		size := uint32(12 + 4*len(body))
		for _, n := range append(append([]uint32{kind, size}, body...), size) {
			out = binary.LittleEndian.AppendUint32(out, n)
		}
	}
	block(0x0a0d0d0a, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff) // section header, version 1.0, length unknown
	block(1, 1, 0)                                           // interface of link type 1
	block(1, 117, 0)                                         // and one of 117
	block(6, 0, 0, 0, 4, 4, 0xdeadbeef)                      // a packet of four bytes on it
	return out
}
