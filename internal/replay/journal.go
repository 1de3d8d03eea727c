package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"pfwarden/detect"
)

// IsJournal tells whether a file is a journal of `run --journal`, by its first bytes. What cannot be read is none.
func IsJournal(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false // a FIFO gives its bytes once
	}
	head, err := bufio.NewReader(f).Peek(len(detect.JournalMagic))
	return err == nil && string(head) == detect.JournalMagic
}

// JournalTotals sum the replay of a journal up.
type JournalTotals struct {
	Inputs, Verdicts int
	Differ           int    // verdicts that are not the recorded run's, byte by byte
	First            string // the first difference, for people; "" if there is none
	Fault            error  // why the journal could not be read to its end, as after a crash; nil if it could
	Gaps             int    // runs in its midst whose end could not be read
	Gap              error  // why, the first time
}

// Journal plays what a journal recorded through the detector, with the configuration, state and answers that it holds, and hands over the verdict
// log line by line: detect.Verdict.AppendJSON. The lines are compared with those that the run wrote. Where several runs, or one and what went on
// after a reload, recorded into the same file, they are played one after the other.
func Journal(ctx context.Context, r io.Reader, line func(v *detect.Verdict, line []byte)) (JournalTotals, error) {
	var t JournalTotals
	d, err := detect.New(detect.Config{ // the least there is: the journal brings its own
		Portscan: detect.PortscanConfig{Slots: 1, Doorkeeper: 1}, Limits: detect.Limits{Contacts: 1, Trails: 1, Companies: 1},
	})
	if err != nil {
		return t, err
	}
	var (
		now []byte
		got [][]byte
	)
	most := 0 // lines of the present input that are of the recorded run
	emit := func(v detect.Verdict) {
		if len(got) == most {
			return
		}
		now = v.AppendJSON(now[:0])
		got = append(got, bytes.Clone(now))
		line(&v, now)
	}
	for journal := detect.NewJournalReader(r); ; t.Inputs++ {
		if t.Inputs%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return t, err
			}
		}
		in, err := journal.Next()
		t.Gaps, t.Gap = journal.Gaps()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			t.Fault = err
			return t, nil
		}
		got, most = got[:0], math.MaxInt
		if in.Last { // a crash may have come before the rest was recorded, and carried out
			most = len(in.Verdicts)
		}
		if err := d.Play(in, emit); err != nil {
			return t, fmt.Errorf("input %d of the journal: %w", t.Inputs+1, err)
		}
		t.Verdicts += len(got)
		t.compare(in.Verdicts, got)
	}
}

func (t *JournalTotals) compare(recorded, got [][]byte) {
	for i := range max(len(recorded), len(got)) {
		was, is := []byte("nothing"), []byte("nothing")
		if i < len(recorded) {
			was = recorded[i]
		}
		if i < len(got) {
			is = got[i]
		}
		if bytes.Equal(was, is) {
			continue
		}
		if t.Differ++; t.First == "" {
			t.First = fmt.Sprintf("input %d: recorded was %s, replayed %s", t.Inputs+1, bytes.TrimSpace(was), bytes.TrimSpace(is))
		}
	}
}
