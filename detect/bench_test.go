package detect

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// stream is packets of n sources, in an order that no cache likes.
func stream(n int) func(i int, o *Observation) {
	return func(i int, o *Observation) {
		x := uint64(i) * 0x9e3779b97f4a7c15
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32((x>>32)%uint64(n))*0x9e3779b1) // no two of one /24
		o.Source = netip.AddrFrom4(b)
		o.Target.Port = uint16(1 + x>>60&3)
		o.Time = start.Add(time.Duration(i) * 10 * time.Microsecond)
		o.Read = o.Time
	}
}

// BenchmarkPackets is the cost of one packet in the detector, by the number of sources, as the engine hands packets over: one at a time, each told
// of a while before where the detector asks for that. Making the packet is in the figure.
func BenchmarkPackets(b *testing.B) {
	for _, n := range []int{1e3, 1e4, 1e5, 1e6, 1e7} {
		b.Run(fmt.Sprintf("sources=%d", n), func(b *testing.B) {
			d, err := New(Config{Seed: 1})
			if err != nil {
				b.Fatal(err)
			}
			next := stream(n)
			const lead = aheadPackets
			ring := make([]Observation, lead)
			for i := range ring {
				ring[i] = probe("192.0.2.1", 0, "203.0.113.5", 22)
				next(i, &ring[i])
			}
			verdicts := 0 // of sources that come back from the spill, which has forgotten the first of their doors
			emit := func(Verdict) { verdicts++ }
			i := 0
			step := func() {
				o := ring[i%lead : i%lead+1]
				d.Observe(o, emit)
				next(i+lead, &o[0])
				if d.Lookahead() > 0 {
					d.Ahead(o[0].Source)
				}
				i++
			}
			for range 2 * n {
				step()
			}
			b.ReportAllocs()
			began := processorTime(b)
			for b.Loop() {
				step()
			}
			b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(verdicts)/float64(i), "verdicts/op")
			b.ReportMetric(1e3*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "Mpackets/s")
		})
	}
}

// processorTime is what the process has used so far: beside busy neighbours it says more than the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFailures is the cost of one failed log-in.
func BenchmarkFailures(b *testing.B) {
	d, err := New(Config{Seed: 1, Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}})
	if err != nil {
		b.Fatal(err)
	}
	obs := []Observation{fail("sshd", "192.0.2.1", 0)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		obs[0].Source = netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		obs[0].Time = start.Add(time.Duration(i) * time.Millisecond)
		d.Observe(obs, func(Verdict) {})
	}
}

// TestPacketsAllocate: none, whatever a packet does short of a verdict.
func TestPacketsAllocate(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 5, time.Hour)}})
	b.feed(fail("sshd", "192.0.2.1", 0))
	next := stream(1000)
	obs := []Observation{probe("192.0.2.1", 0, "203.0.113.5", 22)}
	i := 0
	emit := func(Verdict) { t.Error("a verdict") }
	if n := testing.AllocsPerRun(5000, func() {
		next(i, &obs[0])
		b.Observe(obs, emit)
		i++
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// TestMemory: ten million sources of one packet each, and the tables of the default size, cost less than 64 MiB.
func TestMemory(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("ten million packets")
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	d, err := New(Config{Seed: 1, Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}})
	if err != nil {
		t.Fatal(err)
	}
	obs := []Observation{probe("192.0.2.1", 0, "203.0.113.5", 22)}
	verdicts, scanners := 0, map[netip.Addr]bool{}
	emit := func(v Verdict) { verdicts++; scanners[v.Source.Addr()] = true }
	const n = 10_000_000
	for i := range n {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 0x0b000000+uint32(i))
		obs[0].Source, obs[0].Time = netip.AddrFrom4(b), start.Add(time.Duration(i)*60*time.Microsecond)
		d.Observe(obs, emit)
		if i%10_000 == 0 { // a hundred scanners, each with ten doors over the ten minutes
			j := i / 10_000
			o := probe(fmt.Sprintf("192.0.2.%d", j%100), 0, "203.0.113.5", 1000+j/100)
			o.Time = obs[0].Time
			d.Observe([]Observation{o}, emit)
		}
	}
	grown := int64(heap()) - int64(before)
	s := d.Stats()
	t.Logf("%.1f MiB, %d slots of %d used, %d evictions, doorkeeper %.2f full, %d verdicts, flood minutes %d", float64(grown)/(1<<20), s.SlotsUsed, s.Slots, s.Evictions, s.DoorkeeperFill, verdicts, s.FloodMinutes)
	if grown > 64<<20 {
		t.Errorf("%d bytes", grown)
	}
	if len(scanners) != 100 {
		t.Errorf("%d of 100 scanners found", len(scanners))
	}
	for a := range scanners {
		if a.As4()[0] != 192 {
			t.Errorf("%v of the flood was judged", a)
		}
	}
	t.Log(d.Explain(addr("192.0.2.50"), d.Now()))
	runtime.KeepAlive(d)
}
