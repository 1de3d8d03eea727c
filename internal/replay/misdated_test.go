package replay

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
)

// apart cuts a little-endian pcap file into its header and its records.
func apart(file []byte) (header []byte, all [][]byte) {
	header, file = file[:24], file[24:]
	for len(file) > 0 {
		n := 16 + int(binary.LittleEndian.Uint32(file[8:]))
		all, file = append(all, file[:n]), file[n:]
	}
	return header, all
}

func joined(header []byte, all [][]byte) []byte {
	return append(bytes.Clone(header), bytes.Join(all, nil)...)
}

// TestMisdated: a record dated decades ahead costs its own date, and nothing of the others, wherever it stands and beside whatever other file.
func TestMisdated(t *testing.T) {
	files := traffic(t)
	header, all := apart(files["pflog"])
	auth := strings.SplitAfter(string(files["authlog"]), "\n")
	wrong := func(r []byte) []byte {
		r = bytes.Clone(r)
		binary.LittleEndian.PutUint32(r, 4_000_000_000) // in 2096
		return r
	}
	line := "2029-10-02T07:06:40.000000Z gw sshd[77]: Accepted publickey for alice from 192.0.2.99 port 4711 ssh2\n"
	if want, _ := played(t, files, "pflog", "authlog", "error_log"); strings.Count(want, "\n") < 10 {
		t.Fatalf("too few events:\n%s", want)
	}
	for _, tt := range []struct {
		name     string
		at       []int // records that are dated wrongly
		lines    int   // after how many lines a wrong one stands; -1 = nowhere
		misdated uint64
	}{
		{"the first record", []int{0}, -1, 1},
		{"one in the midst", []int{len(all) / 2}, -1, 1},
		{"some in a row", []int{700, 701, 702}, -1, 3},
		{"the first line", nil, 0, 1},
		{"a line in the midst", nil, len(auth) / 2, 1},
		{"both", []int{500}, len(auth) / 3, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// What should come of it: the same record dated as the one after it.
			is, should := slices.Clone(all), slices.Clone(all)
			for _, i := range tt.at {
				is[i] = wrong(all[i])
				should[i] = bytes.Clone(all[i])
				copy(should[i], all[tt.at[len(tt.at)-1]+1][:8])
			}
			with, without := maps.Clone(files), maps.Clone(files)
			with["pflog"], without["pflog"] = joined(header, is), joined(header, should)
			if tt.lines >= 0 {
				with["authlog"] = []byte(strings.Join(slices.Insert(slices.Clone(auth), tt.lines, line), ""))
			}
			want, _ := played(t, without, "pflog", "authlog", "error_log")
			got, totals := played(t, with, "pflog", "authlog", "error_log")
			if got != want {
				t.Errorf("other bans; got\n%s\nwant\n%s", got, want)
			}
			if totals.Misdated != tt.misdated || totals.Last.Year() != 2026 {
				t.Errorf("%d misdated, the last record is of %v", totals.Misdated, totals.Last)
			}
		})
	}
}

// TestClockSetBack: where a file goes back for good, what follows is judged by its own time, and not as too late for any ban.
func TestClockSetBack(t *testing.T) {
	files := traffic(t)
	header, all := apart(files["pflog"])
	later := make([][]byte, 0, len(all))
	for _, r := range all {
		r = bytes.Clone(r)
		binary.LittleEndian.PutUint32(r, binary.LittleEndian.Uint32(r)+3*86400)
		binary.BigEndian.PutUint32(r[16+100+12:], binary.BigEndian.Uint32(r[16+100+12:])^1<<26) // by others
		later = append(later, r)
	}
	want, _ := played(t, map[string][]byte{"pflog": joined(header, all)}, "pflog")
	got, totals := played(t, map[string][]byte{"pflog": joined(header, slices.Concat(later, all))}, "pflog")
	if totals.Back != 1 {
		t.Errorf("went back %d times", totals.Back)
	}
	bans := func(events string) int { return strings.Count(events, " ban ") }
	if n := bans(want); n < 10 || bans(got) < 2*n*9/10 {
		t.Errorf("%d bans in order, %d where the same came again under an older date", n, bans(got))
	}
}
