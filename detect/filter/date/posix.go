package date

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// POSIXLocation reads a zone as POSIX writes it in TZ: a name, how far it lies west of UTC, and, where there is a summer time, its name and
// when it begins and ends: "EST5EDT", "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX.1, chapter 8.3). Go reads such rules only at the end of a zone's
// file, so it is handed a file that holds nothing else.
func POSIXLocation(text string) (*time.Location, error) {
	name := text
	if i := strings.IndexAny(text, "+-0123456789"); i >= 0 && !strings.HasPrefix(text, "<") {
		name = text[:i]
	} else if i := strings.IndexByte(text, '>'); i > 0 {
		name = text[1:i]
	}
	const shortest, longest = 3, 64
	if name == text || len(name) < shortest || len(text) > longest || strings.ContainsAny(text, "\n\x00") {
		return nil, fmt.Errorf("%q is no time zone: expected a name of the zone data base (Europe/Berlin) or a rule such as CET-1CEST,M3.5.0,M10.5.0/3", text)
	}
	l, err := time.LoadLocationFromTZData(text, tzFile(text))
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", text, err)
	}
	// A rule that cannot be read leaves the made-up name of the file's only zone.
	if got, _ := time.Unix(0, 0).In(l).Zone(); got == madeUp {
		return nil, fmt.Errorf("%q is no time zone: its rule cannot be read", text)
	}
	return l, nil
}

// madeUp names the zone that holds where the rule does not.
const madeUp = "???"

// tzFile is a TZif file (RFC 8536) of version 2 without any transition: its footer is the rule.
func tzFile(rule string) []byte {
	var b []byte
	for range 2 { // the block for 32 bits, then the one for 64
		b = append(b, "TZif2"...)
		b = append(b, make([]byte, 15)...)
		for _, n := range []int{0, 0, 0, 0, 1, len(madeUp) + 1} { // flags of UT and standard time, leap seconds, transitions; types; characters
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		}
		b = append(b, make([]byte, 6)...) // the type: UTC
		b = append(b, madeUp+"\x00"...)
	}
	return append(b, "\n"+rule+"\n"...)
}
