package date

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// stampedLine writes a line whose stamp is nearly that of the line before, with what may follow stamps.
func stampedLine(rng *rand.Rand, at time.Time, layout string) string {
	begins := []string{"", "", "", "", "[", "[", " ", "a"}
	tails := []string{" host app: x", " host app: x", "] [error] x", " 2026 host", " 2026x host", ".5 host", ".25", ".1234567 x", ",125 x", " +0100 and on", " +01:00", " -01:0x", "        2", "Z",
		"x", "", ": y", " UTC here", " GMT", "\u00e9", " \u00e9", "\t+0100", "] 2026", " 2", " 2026", ".", ". 2026]", "  +0100", " 203x", "+0100 z", "_", " Zulu"}
	text := at.Format(layout)
	if rng.IntN(12) == 0 { // a digit or a sign goes wrong
		i := rng.IntN(len(text))
		text = text[:i] + string("0123456789:. ,x2+"[rng.IntN(17)]) + text[i+1:]
	}
	return begins[rng.IntN(len(begins))] + text + tails[rng.IntN(len(tails))] + []string{"", " some more text"}[rng.IntN(2)]
}

var stampLayouts = []string{"Jan _2 15:04:05", "Jan  2 15:04:05.000", "Mon Jan 02 15:04:05.000000 2006", "2006-01-02T15:04:05.000000-07:00", "2006-01-02 15:04:05", "2006/01/02 15:04:05", "2006-01-02 15:04:05,000",
	"02/Jan/2006:15:04:05 -0700", "2006-01-02T15:04:05Z", "Jan  2 15:04:05 2006", "2006.01.02 15:04:05 MST", "01/02/06@15:04:05", "20060102 15:04:05", "1/2/2006:3:4:5"}

// TestSteadyStamps: a detector that remembers the last stamp answers like one that reads each anew, and so does a day kept.
func TestSteadyStamps(t *testing.T) {
	t.Parallel()
	lines := 5_000
	if testing.Short() {
		lines /= 5
	}
	zones := []*time.Location{time.UTC, time.FixedZone("x", -5400)}
	for _, name := range []string{"Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"} {
		if loc, err := time.LoadLocation(name); err == nil {
			zones = append(zones, loc)
		}
	}
	for _, pattern := range []string{"", "{^LN-BEG}", "{^LN-BEG}%ExY"} {
		f, err := Compile(pattern, Options{timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for zi, loc := range zones {
			fast, slow := f.NewDetector(), f.NewDetector()
			rng := rand.New(rand.NewPCG(5, uint64(zi)))
			at := time.Date(2025, 1, 1, 0, 0, 0, 0, loc)
			ref := Reference{Now: time.Date(2026, 5, 10, 11, 0, 0, 0, loc), Location: loc, Fraction: zi%2 == 0}
			day, same := Day{}, 0
			layout := stampLayouts[0]
			for range lines {
				switch rng.IntN(12) {
				case 0:
					layout = stampLayouts[rng.IntN(len(stampLayouts))]
				case 1:
					at = at.Add(time.Duration(rng.IntN(48)) * time.Hour)
				}
				at = at.Add(time.Duration(rng.IntN(3000)) * time.Millisecond)
				line := stampedLine(rng, at, layout)
				slow.steady.by = nil
				got, gotOK := fast.Find(line, 0)
				want, wantOK := slow.Find(line, 0)
				if gotOK != wantOK {
					t.Fatalf("%q on %q: found by memory %v, by reading %v", pattern, line, gotOK, wantOK)
				}
				if !wantOK {
					continue
				}
				if *got.stamp != *want.stamp || got.Start != want.Start || got.End != want.End || got.Valid != want.Valid || got.Pattern != want.Pattern || fast.place.start != slow.place.start {
					t.Fatalf("%q on %q: remembered %+v %+v, read %+v %+v", pattern, line, got, *got.stamp, want, *want.stamp)
				}
				wantTime, wantOK := want.Time(ref)
				if !got.SameDay {
					day = Day{}
				} else if !day.Holds(&ref) {
					day, _ = got.Day(ref)
				}
				if day.Holds(&ref) && got.SameDay {
					same++
					if gotTime := got.On(&day); !wantOK || gotTime != wantTime {
						t.Fatalf("%q: %v by its day, %v by itself (%v)", line, gotTime, wantTime, wantOK)
					}
				}
			}
			if same < lines/50 && pattern != "{^LN-BEG}%ExY" {
				t.Errorf("%q: only %d stamps of one day", pattern, same)
			}
		}
	}
}

// FuzzSteady: two lines one after the other, with and without memory.
func FuzzSteady(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	at := time.Date(2026, 11, 22, 15, 20, 8, 125_000_000, time.UTC)
	for _, layout := range stampLayouts {
		for range 4 {
			f.Add(stampedLine(rng, at, layout), stampedLine(rng, at.Add(2*time.Second), layout))
		}
	}
	format, err := Compile("", Options{timeout: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		first, second = strings.ToValidUTF8(first, "?"), strings.ToValidUTF8(second, "?")
		fast, slow := format.NewDetector(), format.NewDetector()
		for _, line := range []string{first, first, second, second} {
			slow.steady.by = nil
			got, gotOK := fast.Find(line, 0)
			want, wantOK := slow.Find(line, 0)
			got.Repeated, got.SameDay = false, false
			if gotOK != wantOK || gotOK && (fmt.Sprint(*got.stamp) != fmt.Sprint(*want.stamp) || got.Start != want.Start || got.End != want.End || got.Valid != want.Valid || got.Pattern != want.Pattern) {
				t.Fatalf("%q after %q: remembered %+v, read %+v", line, first, got, want)
			}
		}
	})
}
