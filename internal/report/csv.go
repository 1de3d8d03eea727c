package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
)

// CSV writes one row a ban, with a header. Text that a spreadsheet would take for a formula is led by an apostrophe.
func (r *Report) CSV(w io.Writer) error {
	rows := csv.NewWriter(w)
	rows.Write([]string{
		"address", "table", "jail", "proven", "since", "until", "ended", "why", "step", "failures", "stopped_packets", "stopped_bytes", "last_hit", "reasons",
	})
	for i := range r.Bans {
		b := &r.Bans[i]
		rows.Write([]string{
			cell(address(b)), cell(b.Table), cell(b.Jail), strconv.FormatBool(b.Proven), stamp(b.Since), stamp(b.Until), stamp(b.Ended), cell(b.EndWhy),
			strconv.Itoa(b.Step), strconv.Itoa(b.Story.Failures), strconv.FormatUint(b.Packets, 10), strconv.FormatUint(b.Bytes, 10), stamp(b.LastHit),
			cell(strings.Join(b.Reasons, "; ")),
		})
	}
	rows.Flush()
	return rows.Error()
}

func cell(s string) string {
	s = plain(s)
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
