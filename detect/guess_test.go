package detect

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// wanderers feeds n failures, each of another /24 and with another name, and then cases of distributed guessing, one after the other, of which
// each has its own name and addresses.
func wanderers(b *bench, n, cases int) (records int) {
	from := func(i int) netip.Addr {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 1<<24+uint32(i)<<8)
		return netip.AddrFrom4(a)
	}
	t := 0
	one := func(i int, user string) {
		o := fail("sshd", "192.0.2.1", float64(t))
		o.Source, o.User = from(i), user
		b.feed(o)
		records++
	}
	for i := range n {
		one(i, fmt.Sprint("nobody", i))
	}
	for c := range cases {
		t += 11
		for i := range 24 {
			one(n+12*c+i%12, fmt.Sprint("case", c))
		}
	}
	return records
}

// TestJoinIsPaidFor: however many sources there are and however many cases are made up, looking for who took part costs a bounded amount a
// record, and the cases themselves are found all the same.
func TestJoinIsPaidFor(t *testing.T) {
	const sources, cases = 40_000, 60
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 50, time.Hour)}, Guess: GuessConfig{Act: true}})
	records := wanderers(b, sources, cases)
	if n := len(b.Guesses(0)); n != cases {
		t.Errorf("%d cases, want %d", n, cases)
	}
	if looks := b.guesses.looks; looks < -100 {
		t.Errorf("%d looks are owed after %d records", -looks, records)
	}
	part := 0
	for _, s := range b.logs.sources {
		if s.guesser != 0 {
			part++
		}
	}
	if part != 12*cases {
		t.Errorf("%d sources take part, want the 12 of each case", part)
	}
}

// TestJoinFindsAll: among sources of whom each is new, all who took part are found, as far back as they are known.
func TestJoinFindsAll(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 50, time.Hour)}, Guess: GuessConfig{Act: true}})
	try := func(source, user string) {
		o := fail("sshd", source, 0)
		o.User = user
		b.feed(o)
	}
	for i := range 11 {
		try(fmt.Sprintf("198.51.%d.1", i), "oracle")
		try(fmt.Sprintf("198.51.%d.1", i), "oracle")
	}
	for i := range 20_000 {
		try(fmt.Sprintf("100.%d.%d.1", i>>8, i&255), fmt.Sprint("nobody", i))
	}
	try("198.51.100.1", "oracle")
	try("198.51.100.1", "oracle")
	for i := range 11 {
		if s := b.logs.sources[b.sourceKeyOf(0, addr(fmt.Sprintf("198.51.%d.1", i)), "")]; s == nil || s.guesser == 0 {
			t.Errorf("the %d. source of the case was not found", i+1)
		}
	}
}

// BenchmarkGuessCases is the cost of a failure where cases of distributed guessing are made up all the time, by the number of sources.
func BenchmarkGuessCases(b *testing.B) {
	for _, n := range []int{1e3, 6e4} {
		b.Run(fmt.Sprintf("sources=%d", n), func(b *testing.B) {
			records := 0
			for b.Loop() {
				b.StopTimer()
				x := newBench(b, Config{Jails: []JailConfig{jail("sshd", 50, time.Hour)}, Guess: GuessConfig{Act: true}})
				wanderers(x, n, 0)
				b.StartTimer()
				records += wanderers(x, 0, 400)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/failure")
		})
	}
}
