package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
	if _, _, err := verb("--set", "portscan.threshold=3", name); err == nil || !strings.Contains(err.Error(), "without --set") {
		t.Errorf("other settings for a journal: %v", err)
	}
	other := filepath.Join(t.TempDir(), "labels.csv")
	if err := os.WriteFile(other, []byte("address,class,want,first,last\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := verb("--samples", "--journal", other); err == nil || !strings.Contains(err.Error(), "not a journal") {
		t.Errorf("a journal in place of another file: %v", err)
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
	// A changed bit in the middle is no crash: what lies behind it was not read.
	bad := bytes.Clone(b)
	bad[len(bad)/2+bytes.Index(bad[len(bad)/2:], []byte("portscan"))] ^= 1 // in a verdict, not in a record's length
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, err := verb(name); exitCode(err) != exitFailed || !strings.Contains(errs, "as far as it goes") {
		t.Errorf("damaged: %v %s", err, errs)
	}
}

// A pipe without a reader is a fault; to wait for one, nobody could stop.
func TestJournalToPipe(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip(err)
	}
	if f, err := openJournal(name); err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Error(f, err)
	}
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	f, err := openJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	// To narrow it is nothing that its reader sees: it waits still.
	if _, err := f.WriteString("x"); err != nil {
		t.Error(err)
	}
	if err := narrowJournal(name); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := narrowJournal(name); err != nil { // nobody reads: it is not so much as opened
		t.Error(err)
	}
}

// A recording is gone on with, and nothing else is written to.
func TestOpenJournal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, holds string
		fine        bool
	}{
		{"nothing there", "", true},
		{"a journal", "pfwarden journal 1\nand more", true},
		{"a configuration", "[portscan]\nthreshold = 7\n", false},
		{"a line", "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "journal")
			if tt.holds != "" {
				if err := os.WriteFile(name, []byte(tt.holds), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f, err := openJournal(name)
			if (err == nil) != tt.fine {
				t.Fatal(err)
			}
			if err == nil {
				_, err = f.WriteString("+")
				if err = errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
				tt.holds += "+"
			}
			if got, err := os.ReadFile(name); err != nil || string(got) != tt.holds {
				t.Errorf("the file holds %q, expected %q: %v", got, tt.holds, err)
			}
		})
	}
}
