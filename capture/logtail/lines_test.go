package logtail

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
)

func TestLineIncompleteWaits(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\nha")
	w.start()
	w.want("a1")
	w.Append("log", "lf")
	w.Pass(time.Hour)
	w.want("a1")
	if s := w.stats("log"); s.Behind != 4 {
		t.Errorf("behind = %d, want 4", s.Behind)
	}
	w.restart()
	w.Append("log", "\n")
	w.Look()
	w.want("a1", "half")
}

func TestLineBytes(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "dos\r\n\r\n\nbad \xff\xfe utf-8\nnul \x00 within\n\x00\x00leading nuls\nlone \r return\n")
	w.start()
	w.want("dos", "", "", "bad \xff\xfe utf-8", "nul \x00 within", "leading nuls", "lone \r return")
}

func TestLineOfMegabytes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxLine = 1000 })
	w.Append("log", "a1\n"+strings.Repeat("x", 5<<20))
	w.start()
	w.want("a1") // its end is still to come: it must not be taken for two lines after a restart
	w.restart()
	w.Append("log", "\n"+strings.Repeat("y", 1000)+"\r\n"+strings.Repeat("z", 1001)+"\n")
	w.Look()
	w.want("a1", strings.Repeat("x", 1000), strings.Repeat("y", 1000), strings.Repeat("z", 1000))
	cut := []bool{}
	for _, l := range w.lines {
		cut = append(cut, l.Cut)
	}
	if diff := cmp.Diff([]bool{false, true, false, true}, cut); diff != "" {
		t.Errorf("Cut (-want +got):\n%s", diff)
	}
	if s := w.stats("log"); s.Cut != 2 || s.Behind != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestLineFields(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\na2\n")
	modified := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC)
	w.Must(os.Chtimes(w.Path("log"), modified, modified))
	w.start()
	got := w.last()
	want := capture.Line{Text: "a2", Origin: w.Path("log"), Number: 2, Read: w.Now(), Next: capture.Position{Path: w.Path("log"), Offset: 6}}
	if !got.Modified.Equal(modified) || got.Next.Identity == "" {
		t.Errorf("modified %v, want %v; identity %q", got.Modified, modified, got.Next.Identity)
	}
	got.Modified, got.Next.Identity = time.Time{}, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestStandardInput(t *testing.T) {
	tailer, err := New(Options{Paths: []string{"-"}, Stdin: strings.NewReader("a1\na2\r\nhalf")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = tailer.Run(context.Background(), func(lines []capture.Line) error {
		for _, l := range lines {
			got = append(got, l.Origin+" "+l.Text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"- a1", "- a2", "- half"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := tailer.Stats(); len(s) != 1 || s[0].Lines != 3 || s[0].Bytes != 11 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestStandardInputBesideFiles(t *testing.T) {
	in, out := io.Pipe()
	w := newWorld(t, func(o *Options) { o.Paths, o.Stdin = []string{"log", "-"}, in })
	w.Append("log", "a1\n")
	w.start()
	_, err := io.WriteString(out, "b1\n")
	w.Must(err)
	w.Must(out.Close())
	for len(w.texts()) < 2 {
		w.Look()
	}
	w.want("a1", "b1")
}

func TestEmitErrorEndsRun(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\n")
	w.opts.Tick, w.opts.Watcher = nil, nil
	tailer, err := New(w.opts)
	w.Must(err)
	full := errors.New("queue is closed")
	if err := tailer.Run(context.Background(), func([]capture.Line) error { return full }); !errors.Is(err, full) {
		t.Errorf("Run: %v, want %v", err, full)
	}
	for _, p := range tailer.Positions() {
		if p.Offset != 0 {
			t.Errorf("position %+v: the line was not dealt with", p)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, opts := range map[string]Options{
		"no path":       {},
		"bad pattern":   {Paths: []string{"/var/log/["}},
		"negative line": {Paths: []string{"/var/log/messages"}, MaxLine: -1},
		"negative poll": {Paths: []string{"/var/log/messages"}, Poll: -1},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestStoredPositionNotUnderstood(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.FromStart = false })
	w.opts.Positions = []capture.Position{{Path: w.Path("log"), Identity: "gibberish", Offset: 3}}
	w.Append("log", "a1\na2\n")
	w.start()
	w.want("a1", "a2")
}

func TestReader(t *testing.T) {
	text := "a1\r\na2\n" + strings.Repeat("x", 100) + "\nhalf"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"plain": []byte(text), "gzip": packed.Bytes()} {
		t.Run(name, func(t *testing.T) {
			const origin = "/var/log/app.log"
			modified := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC)
			r, err := NewReader(bytes.NewReader(data), origin, modified, 50)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var got []string
			var line capture.Line
			for err = r.Next(&line); err == nil; err = r.Next(&line) {
				got = append(got, line.Text)
				if line.Number != uint64(len(got)) || !line.Modified.Equal(modified) || !line.Read.IsZero() || line.Origin != origin {
					t.Errorf("line %d: %+v", len(got), line)
				}
			}
			if !errors.Is(err, io.EOF) || !errors.Is(r.Next(&line), io.EOF) {
				t.Errorf("at the end: %v", err)
			}
			if diff := cmp.Diff([]string{"a1", "a2", strings.Repeat("x", 50), "half"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReaderBrokenGzip(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, strings.Repeat("line\n", 100))
	_ = z.Close()
	r, err := NewReader(bytes.NewReader(packed.Bytes()[:packed.Len()-4]), "x.gz", time.Time{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var line capture.Line
	n := 0
	for err = r.Next(&line); err == nil; err = r.Next(&line) {
		n++
	}
	if n != 100 || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "x.gz") {
		t.Errorf("%d lines, then %v", n, err)
	}
}
