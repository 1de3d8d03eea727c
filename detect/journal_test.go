package detect

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestJournal: the journal of a run, begun in its midst, replays to the byte-equal verdict log, also without the never-list of the day.
func TestJournal(t *testing.T) {
	for seed := range uint64(5) {
		w := &workload{r: rand.New(rand.NewPCG(seed, 1))}
		d, err := New(workConfig())
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			w.input().feed(d, func(Verdict) {})
		}
		var file, want, got bytes.Buffer
		j, err := NewJournal(&file, d)
		if err != nil {
			t.Fatal(err)
		}
		for range 5000 {
			w.input().feed(j, logTo(&want))
		}
		if err := j.Flush(); err != nil {
			t.Fatal(err)
		}
		replayed, err := New(Config{}) // the journal brings its own
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		var recorded, again []byte
		for r := NewJournalReader(&file); ; n++ {
			in, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range in.Verdicts {
				recorded = append(recorded, line...)
			}
			log := logTo(&got)
			if err := replayed.Play(in, func(v Verdict) { again = v.AppendJSON(again); log(v) }); err != nil {
				t.Fatalf("input %d: %v", n, err)
			}
		}
		if len(recorded) == 0 || !bytes.Equal(recorded, again) {
			t.Errorf("seed %d: the recorded verdicts have %d bytes, the replayed ones %d", seed, len(recorded), len(again))
		}
		if n != 5002 || want.Len() == 0 || !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Fatalf("seed %d, %d inputs: verdict logs of %d and %d bytes differ:\n%s", seed, n, want.Len(), got.Len(), cmp.Diff(want.String(), got.String()))
		}
	}
}

func TestJournalDiverges(t *testing.T) {
	d, _ := New(workConfig())
	var file bytes.Buffer
	j, err := NewJournal(&file, d)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		j.Observe([]Observation{fail("sshd", "192.0.2.3", float64(i))}, func(Verdict) {})
	}
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	c := workConfig()
	c.Jails[0].Threshold = 6
	other, _ := New(c) // as a program with another rule
	var fault error
	for r := NewJournalReader(&file); fault == nil; {
		in, err := r.Next()
		if err != nil {
			t.Fatal("no divergence noticed: ", err)
		}
		if in.Config != nil {
			continue
		}
		fault = other.Play(in, func(Verdict) {})
	}
	if !errors.Is(fault, ErrDiverged) {
		t.Errorf("got %v, expected ErrDiverged", fault)
	}
}

// TestJournalGoesOn: after a reload the journal goes on in the same file, with the new settings.
func TestJournalGoesOn(t *testing.T) {
	var file bytes.Buffer
	var want, got []byte
	c := Config{Seed: 3, Jails: []JailConfig{jail("sshd", 5, time.Hour)}}
	keep := func(v Verdict) { want = v.AppendJSON(want) }
	for threshold := 5; threshold > 1; threshold-- {
		c.Jails[0].Threshold = threshold
		d, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		j, err := NewJournal(&file, d)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			j.Observe([]Observation{fail("sshd", "192.0.2.3", float64(i))}, keep)
		}
		if err := j.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	d, _ := New(Config{})
	for r := NewJournalReader(&file); ; {
		in, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Play(in, func(v Verdict) { got = v.AppendJSON(got) }); err != nil {
			t.Fatal(err)
		}
	}
	if n := bytes.Count(want, []byte("\n")); n != 2+3+4+6 || !bytes.Equal(want, got) {
		t.Errorf("%d verdicts recorded:\n%s\nreplayed:\n%s", n, want, got)
	}
}

func FuzzJournal(f *testing.F) {
	w := &workload{r: rand.New(rand.NewPCG(1, 6))}
	d, _ := New(tinyConfig())
	var b bytes.Buffer
	j, err := NewJournal(&b, d)
	if err != nil {
		f.Fatal(err)
	}
	for range 30 {
		w.input().feed(j, func(Verdict) {})
	}
	if err := j.Flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), []byte("O\x01"))
	f.Add(b.Bytes()[:b.Len()-3], []byte("N"))
	f.Add([]byte(JournalMagic), []byte("T\x01"))
	f.Fuzz(func(t *testing.T, file, record []byte) {
		d, _ := New(tinyConfig())
		for r := NewJournalReader(bytes.NewReader(file)); ; {
			in, err := r.Next()
			if err != nil {
				if err != io.EOF && !errors.Is(err, ErrJournal) {
					t.Error(err)
				}
				break
			}
			if in.Start == nil {
				_ = d.Play(in, func(Verdict) {})
			}
		}
		if len(record) > 0 {
			if in, err := parseInput(record); err == nil && in.Start == nil {
				_ = d.Play(in, func(Verdict) {})
			}
		}
	})
}
