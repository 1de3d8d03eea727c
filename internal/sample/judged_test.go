package sample_test

import (
	"encoding/csv"
	"io"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/replay"
	"pfwarden/internal/sample"
	"pfwarden/internal/warden"
)

// TestSamplesAreJudgedAsLabelled replays the bundled day with the default configuration: whoever should be banned is, nobody else.
func TestSamplesAreJudgedAsLabelled(t *testing.T) {
	var inputs []replay.Input
	for _, name := range sample.Inputs() {
		inputs = append(inputs, replay.Input{
			Name:     name,
			Open:     func() (io.ReadCloser, error) { return sample.Files().Open(name) },
			Modified: sample.Date().AddDate(0, 0, 1),
		})
	}
	var bans []warden.Event
	totals, err := replay.Run(t.Context(), replay.Options{
		Config: config.Default("openbsd"), Inputs: inputs, Location: time.UTC, Now: sample.Date().AddDate(0, 0, 1), Watch: []string{sample.Interface},
		OnEvent: func(e warden.Event) {
			if e.Kind == warden.EventBan {
				bans = append(bans, e)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range totals.Faults {
		t.Error(fault)
	}
	if totals.Rejected > 0 || totals.Stopped == 0 {
		t.Errorf("%d records rejected, %d later packets stopped", totals.Rejected, totals.Stopped)
	}

	file, err := sample.Files().Open(sample.Labels)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{"brute_force": "banned", "half_and_half": "suspects", "vertical": "suspects", "horizontal": "suspects", "vertical6": "suspects"}
	for _, row := range rows[1:] {
		address, class, want := netip.MustParseAddr(row[0]), row[1], row[2] == "1"
		got := false
		for _, ban := range bans {
			if !ban.Ban.Prefix.Contains(address) {
				continue
			}
			got = true
			if !want {
				t.Errorf("%v (%s) was banned: %q", address, class, ban.Verdict.Reasons)
			}
			if table := tables[class]; table != "" && ban.Ban.Table != table {
				t.Errorf("%v (%s) was banned in %s, want %s", address, class, ban.Ban.Table, table)
			}
		}
		if want && !got {
			t.Errorf("%v (%s) was not banned", address, class)
		}
	}
}

// TestFilesAreThere opens every file by its name.
func TestFilesAreThere(t *testing.T) {
	for _, name := range append(sample.Inputs(), sample.Labels, "README.md") {
		if content, err := fs.ReadFile(sample.Files(), name); err != nil || len(content) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(content), err)
		}
	}
}
