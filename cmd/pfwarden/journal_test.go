package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A journal replays to the verdicts that it recorded, twice to the same bytes; damage is told.
func TestReplayJournal(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "journal")
	verb := func(args ...string) (string, string, error) {
		var out, errs bytes.Buffer
		err := run(context.Background(), append([]string{"replay"}, args...), stdio{In: strings.NewReader(""), Out: &out, Err: &errs})
		return out.String(), errs.String(), err
	}
	if _, errs, err := verb("--samples", "--journal", name); err != nil {
		t.Fatal(err, errs)
	}
	first, errs, err := verb("-o", "json", name)
	if err != nil || !strings.Contains(errs, "all as recorded") || strings.Count(first, `"event":"verdict"`) < 10 {
		t.Fatalf("%v %s\n%s", err, errs, first)
	}
	if second, _, err := verb("-o", "json", name); err != nil || second != first {
		t.Errorf("two replays differ: %v", err)
	}
	text, _, err := verb(name)
	if err != nil || !strings.Contains(text, "portscan") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, _, err := verb(name, name); err == nil {
		t.Error("two journals at once were taken")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// A crash cuts the last record off.
	if err := os.WriteFile(name, b[:len(b)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, err := verb(name); err != nil || !strings.Contains(errs, "as far as it goes") {
		t.Errorf("cut off: %v %s", err, errs)
	}
}
