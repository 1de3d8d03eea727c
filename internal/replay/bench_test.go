package replay

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/config"
)

// records is how many records the benchmark plays: PFLOG_RECORDS, or enough to see something.
func records(b *testing.B) int {
	text := os.Getenv("PFLOG_RECORDS")
	if text == "" {
		return 200_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("PFLOG_RECORDS: %v", err)
	}
	return n
}

// write makes a pflog file of blocked packets from a hundred thousand sources, the few busy ones of which send most. One in a hundred scans;
// the others try the same door again and again, as most of what a gateway blocks does.
func write(b *testing.B, path string, n int) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	format := pflogwrite.Format{Snaplen: 160}
	if _, err := w.Write(format.Header()); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 1, 99_999)
	at := time.Date(2026, 10, 14, 0, 0, 0, 0, time.UTC)
	var out []byte
	for i := range n {
		at = at.Add(time.Duration(r.IntN(20)) * time.Millisecond)
		s := zipf.Uint64()
		source := netip.AddrFrom4([4]byte{100, byte(64 + s%64), byte(s / 64 % 256), byte(s / 64 / 256)})
		host, port := byte(s*7), uint16(s%3*1000+22)
		if s%100 == 99 {
			host, port = byte(r.IntN(256)), uint16(r.IntN(1024))
		}
		target := netip.AddrFrom4([4]byte{203, 0, 113, host})
		packet := pflogwrite.TCPPacket(pflogwrite.IP{Source: source, Destination: target, TTL: 50},
			pflogwrite.TCP{SourcePort: uint16(i), DestinationPort: port, Flags: capture.FlagSYN, Seq: r.Uint32()})
		out, err = format.AppendRecord(out[:0], at, &pflogwrite.Record{Dialect: 100, System: pflogwrite.OpenBSD, Action: capture.ActionBlock,
			Direction: capture.In, Interface: "em0", Rule: 3, Subrule: capture.NoRule, Packet: packet})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(out); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBesideTCPDump replays a generated file through decoder, detector and warden, and lets tcpdump count its records, in turns. Scanners
// by the thousand are banned on the way; tcpdump only counts.
func BenchmarkBesideTCPDump(b *testing.B) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		b.Skip("tcpdump is not installed")
	}
	n := records(b)
	path := filepath.Join(b.TempDir(), "pflog")
	write(b, path, n)
	c := config.Default("openbsd")
	var ours, theirs []float64
	for b.Loop() {
		for range 3 {
			began := time.Now()
			totals, err := Run(context.Background(), Options{Config: c, Inputs: []Input{{Name: path}}, Location: time.UTC, Seed: 1})
			if err != nil {
				b.Fatal(err)
			}
			if int(totals.Packets) != n {
				b.Fatalf("%d packets, want %d", totals.Packets, n)
			}
			ours = append(ours, time.Since(began).Seconds())
			began = time.Now()
			if out, err := exec.Command(tcpdump, "-nr", path, "--count").CombinedOutput(); err != nil {
				b.Fatalf("tcpdump: %v\n%s", err, out)
			}
			theirs = append(theirs, time.Since(began).Seconds())
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	median, beside := ours[len(ours)/2], theirs[len(theirs)/2]
	b.ReportMetric(float64(n)/median/1e6, "Mrecords/s")
	b.ReportMetric(median, "replay-s")
	b.ReportMetric(beside, "tcpdump-s")
	b.ReportMetric(median/beside, "ratio")
}
