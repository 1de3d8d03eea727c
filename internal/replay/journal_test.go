package replay

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pfwarden/detect"
)

type neverOne struct{ netip.Addr }

func (n neverOne) Contains(a netip.Addr) bool { return a == n.Addr }

// record writes the journal of a small run, in which n sources fail to log in and one of them is on the never-list, and returns its verdict log.
func record(t *testing.T, file *bytes.Buffer, n int) (lines []string) {
	t.Helper()
	d, err := detect.New(detect.Config{
		Seed: uint64(n), Jails: []detect.JailConfig{{Name: "sshd", Threshold: 2, Findtime: time.Hour, Combine: true}},
		Portscan: detect.PortscanConfig{Slots: 8, Doorkeeper: 64}, Limits: detect.Limits{Contacts: 8, Trails: 8, Companies: 8, Bans: 8},
		Never: neverOne{netip.MustParseAddr("192.0.2.1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	j, err := detect.NewJournal(file, d)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 2 * n {
		o := detect.Observation{
			Time: start.Add(time.Duration(i) * time.Second), Source: netip.AddrFrom4([4]byte{192, 0, 2, byte(i % n)}), Jail: "sshd", Proven: true,
			Text: "pfwarden journal 1", // a log may hold it, but not with an end of line
		}
		j.Observe([]detect.Observation{o}, func(v detect.Verdict) { lines = append(lines, string(v.AppendJSON(nil))) })
	}
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// A run that ends by a crash at any byte costs what it had not written, and nothing of the run that records after it in the same file; no
// verdict is told that was not recorded, and none is taken for a difference.
func TestJournalOfCrash(t *testing.T) {
	var first, second bytes.Buffer
	one, two := record(t, &first, 3), record(t, &second, 4)
	if len(one) != 3 || len(two) != 4 {
		t.Fatalf("%d and %d verdicts were recorded", len(one), len(two))
	}
	play := func(file []byte) (JournalTotals, []string) {
		t.Helper()
		var lines []string
		totals, err := Journal(t.Context(), bytes.NewReader(file), func(_ *detect.Verdict, line []byte) { lines = append(lines, string(line)) })
		if err != nil {
			t.Fatal(err)
		}
		return totals, lines
	}
	whole := 0
	for cut := len(detect.JournalMagic); cut <= first.Len(); cut++ {
		if cut < first.Len()-2500 && cut%29 != 0 {
			continue // within the settings and the state it began with
		}
		alone, lines := play(first.Bytes()[:cut])
		if alone.Differ > 0 || fmt.Sprint(lines) != fmt.Sprint(one[:len(lines)]) {
			t.Fatalf("cut at %d of %d bytes: %+v\n%s", cut, first.Len(), alone, lines)
		}
		both, all := play(append(bytes.Clone(first.Bytes()[:cut]), second.Bytes()...))
		if both.Fault != nil || both.Differ > 0 || fmt.Sprint(all) != fmt.Sprint(append(lines, two...)) {
			t.Fatalf("cut at %d of %d bytes, and recorded on: %+v\n%s", cut, first.Len(), both, all)
		}
		if torn := alone.Fault != nil; torn != (both.Gaps == 1) {
			t.Fatalf("cut at %d bytes: %v; and recorded on: %d gaps, %v", cut, alone.Fault, both.Gaps, both.Gap)
		}
		if both.Gaps == 0 {
			whole++
		}
	}
	if whole < 4 { // records of the journal: it is cut between them as well
		t.Errorf("%d cuts between two records", whole)
	}
}

// A damaged byte costs the rest of its run, which is told, and nothing else.
func TestJournalDamaged(t *testing.T) {
	var first, second bytes.Buffer
	record(t, &first, 3)
	two := record(t, &second, 4)
	for at := len(detect.JournalMagic); at < first.Len(); at += 7 {
		file := append(bytes.Clone(first.Bytes()), second.Bytes()...)
		file[at] ^= 0x41
		var lines []string
		totals, err := Journal(t.Context(), bytes.NewReader(file), func(_ *detect.Verdict, line []byte) { lines = append(lines, string(line)) })
		if err != nil || totals.Gaps != 1 || totals.Gap == nil || totals.Fault != nil || totals.Differ > 0 {
			t.Fatalf("byte %d: %+v, %v", at, totals, err)
		}
		if len(lines) < len(two) || fmt.Sprint(lines[len(lines)-len(two):]) != fmt.Sprint(two) {
			t.Fatalf("byte %d: %s", at, lines)
		}
	}
}
