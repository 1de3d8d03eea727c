package pflog_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/match"
	"pfwarden/capture/pflog/pflogwrite"
)

// writeBlocks writes n records as a gateway's pflog holds them: blocked SYNs, some UDP and ICMP, IPv4 and IPv6, OpenBSD's header.
func writeBlocks(tb testing.TB, out io.Writer, n int) {
	tb.Helper()
	random := rand.New(rand.NewPCG(7, 8))
	w, err := pflogwrite.NewWriter(out, pflogwrite.Format{Snaplen: 160})
	if err != nil {
		tb.Fatal(err)
	}
	var records []pflogwrite.Record // built once: the generator shall not take longer than what it feeds
	for range 5000 {
		ip := pflogwrite.IP{Source: address("198.51.100.7"), Destination: address("203.0.113.5"), ID: uint16(random.Uint32())}
		if random.IntN(5) == 0 {
			ip.Source, ip.Destination = address("2001:db8::7"), address("2001:db8::5")
		}
		r := pflogwrite.Record{Dialect: 100, Action: 1, Direction: 1, Interface: []string{"em0", "em1"}[random.IntN(2)], Rule: random.Uint32N(100), Subrule: capture.NoRule,
			UID: pflogwrite.NoUID, PID: pflogwrite.NoPID, RulePID: 1234}
		switch random.IntN(10) {
		case 0:
			r.Packet = pflogwrite.ICMPPacket(ip, 8, 0, 1, make([]byte, 56))
		case 1, 2:
			r.Packet = pflogwrite.UDPPacket(ip, uint16(random.Uint32()), 53, make([]byte, 30))
		default:
			r.Packet = pflogwrite.TCPPacket(ip, pflogwrite.TCP{SourcePort: uint16(random.Uint32()), DestinationPort: uint16(random.IntN(1024)), Flags: capture.FlagSYN})
		}
		records = append(records, r)
	}
	start := time.Unix(1700000000, 0)
	for i := range n {
		if err := w.Write(start.Add(time.Duration(i)*time.Millisecond), &records[i%len(records)]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
}

// TestNoAllocation walks a file: once its names are known nothing is allocated for a packet.
func TestNoAllocation(t *testing.T) {
	var file bytes.Buffer
	writeBlocks(t, &file, 3000)
	r, err := pflog.NewReader(&file, "test", pflog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p capture.Packet
	line := make([]byte, 0, 4096)
	for range 100 {
		if err := r.Next(&p); err != nil {
			t.Fatal(err)
		}
	}
	n := testing.AllocsPerRun(2000, func() {
		if err := r.Next(&p); err != nil {
			t.Fatal(err)
		}
		line = pflog.AppendJSON(line[:0], &p, pflog.Auto)
		line = pflog.AppendText(line[:0], &p, pflog.Auto, time.UTC)
	})
	if n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, file := range map[string]string{"v4": "len100_nano", "v6": "len69_snap116_v6", "len61": "len61_freebsd_le"} {
		b.Run(name, func(b *testing.B) {
			data := vector(b, file)[40:]
			data = data[:min(len(data), 140)]
			var d pflog.Decoder
			var p capture.Packet
			b.ReportAllocs()
			for b.Loop() {
				if d.Decode(&p, data, uint32(len(data))) != pflog.Accepted {
					b.Fatal("rejected")
				}
			}
		})
	}
}

func BenchmarkReadFile(b *testing.B) {
	var file bytes.Buffer
	const records = 100_000
	writeBlocks(b, &file, records)
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r, err := pflog.NewReader(bytes.NewReader(file.Bytes()), "test", pflog.Options{})
		if err != nil {
			b.Fatal(err)
		}
		count(b, r, nil)
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}

func BenchmarkFilter(b *testing.B) {
	for _, expression := range []string{"tcp", "tcp dst port 22", "inbound and action block and on em0", "tcp dst port 22 or 23 or 80 or 443 or udp port 5060 and not net 10/8 and not net 192.168/16"} {
		b.Run(expression, func(b *testing.B) {
			filter, err := match.Compile(expression, pflog.Auto)
			if err != nil {
				b.Fatal(err)
			}
			packets, _ := read2(b, 4096)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				filter(&packets[i%len(packets)])
				i++
			}
		})
	}
}

func read2(b *testing.B, n int) ([]capture.Packet, error) {
	var file bytes.Buffer
	writeBlocks(b, &file, n)
	r, err := pflog.NewReader(&file, "test", pflog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	packets := make([]capture.Packet, n)
	for i := range packets {
		if err := r.Next(&packets[i]); err != nil {
			return packets, err
		}
	}
	return packets, nil
}

func BenchmarkJSON(b *testing.B) {
	packets, _ := read2(b, 1)
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = pflog.AppendJSON(line[:0], &packets[0], pflog.Auto)
	}
}

func count(tb testing.TB, r *pflog.Reader, filter match.Filter) (n int) {
	tb.Helper()
	var p capture.Packet
	for {
		err := r.Next(&p)
		if err == io.EOF {
			return n
		}
		if err != nil {
			tb.Fatal(err)
		}
		if filter == nil || filter(&p) {
			n++
		}
	}
}

// BenchmarkBesideTCPDump reads a generated file of five million records (PFLOG_RECORDS changes that) in turns with
// "tcpdump -nr FILE --count" and reports the medians. Run it as .ci/bench-pflog.sh does.
func BenchmarkBesideTCPDump(b *testing.B) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		b.Skip("tcpdump is not installed")
	}
	records := 5_000_000
	if s := os.Getenv("PFLOG_RECORDS"); s != "" {
		if records, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	} else if testing.Short() {
		b.Skip("long")
	}
	path := filepath.Join(b.TempDir(), "bench.pcap")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	writeBlocks(b, f, records)
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	filter, err := match.Compile("tcp", pflog.Auto)
	if err != nil {
		b.Fatal(err)
	}
	ours := func(filter match.Filter) func() {
		return func() {
			r, err := pflog.Open(path, pflog.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			if n := count(b, r, filter); n == 0 || filter == nil && n != records {
				b.Fatalf("%d packets", n)
			}
		}
	}
	runs := []struct {
		name string
		run  func()
	}{
		{"tcpdump --count", func() {
			if out, err := exec.Command(tcpdump, "-nr", path, "--count").CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}},
		{"decode", ours(nil)},
		{"decode and filter", ours(filter)},
	}
	medians := make([]time.Duration, len(runs))
	for b.Loop() {
		times := make([][]time.Duration, len(runs))
		for range 7 {
			for i, r := range runs {
				start := time.Now()
				r.run()
				times[i] = append(times[i], time.Since(start))
			}
		}
		for i := range times {
			slices.Sort(times[i])
			medians[i] = times[i][3]
		}
	}
	for i, r := range runs {
		b.Logf("%-18s %8.3f s  %6.1f M packets/s  %.2f x tcpdump", r.name, medians[i].Seconds(), float64(records)/medians[i].Seconds()/1e6,
			medians[i].Seconds()/medians[0].Seconds())
	}
	b.ReportMetric(medians[1].Seconds()/medians[0].Seconds(), "x-tcpdump")
}
