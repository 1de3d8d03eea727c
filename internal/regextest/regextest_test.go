package regextest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/detect/filter"
)

const sample = `Nov 22 15:20:08 vm sshd[30482]: Failed password for invalid user admin from 198.51.100.66 port 55222 ssh2
Nov 22 15:20:09 vm cron[1]: nothing
Nov 22 15:20:10 vm sshd[30483]: Accepted password for root from 198.51.100.7 port 5 ssh2
`

func run(t *testing.T, o Options) string {
	t.Helper()
	var out bytes.Buffer
	o.Log, o.Input = "-", strings.NewReader(sample)
	o.Location, o.Year = time.UTC, 2026
	at := time.Unix(0, 0)
	o.Stopwatch = func() time.Time { at = at.Add(time.Microsecond); return at }
	if err := Run(t.Context(), &out, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"own filter", Options{Filter: "sshd", JSON: true},
			`{"line":1,"found":[{"regex":0,"id":"198.51.100.66","time":1795360808.0,"data":{"attempts":1,"ip4":"198.51.100.66","mlfid":"sshd[30482]:","user":"admin","users":["admin"]}}],"ignored":false}
{"line":2,"found":[],"ignored":false}
{"line":3,"found":[],"ignored":false}
`},
		{"pattern", Options{Filter: `from <HOST> port \d+ ssh2$`, JSON: true},
			`{"line":1,"found":[{"regex":0,"id":"198.51.100.66","time":1795360808.0,"data":{"ip4":"198.51.100.66"}}],"ignored":false}
{"line":2,"found":[],"ignored":false}
{"line":3,"found":[{"regex":0,"id":"198.51.100.7","time":1795360810.0,"data":{"ip4":"198.51.100.7"}}],"ignored":false}
`},
		{"a loader's filter, journal lines and fixed time", Options{Filter: "x", JSON: true, Now: time.Unix(1124013600, 0), NoFind: true, Logtype: "journal",
			Load: func(string) (filter.Definition, error) {
				return filter.Definition{Failregex: []string{"Accepted .* from <ADDR>"}, Ignoreregex: []string{"cron"}}, nil
			}},
			`{"line":1,"found":[],"ignored":false}
{"line":2,"found":[],"ignored":false}
{"line":3,"found":[{"regex":0,"id":"198.51.100.7","time":1124013600.0,"data":{"ip4":"198.51.100.7"}}],"ignored":false}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, run(t, c.o)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	plain := run(t, Options{Filter: "sshd"})
	for _, want := range []string{"3 lines: 1 matched, 0 ignored, 2 missed; 3 with a time stamp; 1 successful log-ins", "1  1  ^Failed", "missed lines"} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in\n%s", want, plain)
		}
	}
	if strings.Contains(plain, "\x1b") {
		t.Error("colours where none were asked for")
	}
	colored := run(t, Options{Filter: "sshd", Color: true})
	for _, want := range []string{"\x1b[36mNov 22 15:20:08\x1b[0m", "\x1b[1;31m198.51.100.66\x1b[0m", "\x1b[1;32madmin\x1b[0m"} {
		if !strings.Contains(colored, want) {
			t.Errorf("no %q in\n%s", want, colored)
		}
	}
	if out := run(t, Options{Filter: `from <ADDR> port (?!1)\d+ ssh2$`}); !strings.Contains(out, "not anchored") || !strings.Contains(out, "backtracking") {
		t.Errorf("no warnings in\n%s", out)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{"no such filter": "nosuch", "bad option": "sshd[x=1]", "bad pattern": "(<ADDR>", "names nobody": `^\d+$`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Run(t.Context(), &bytes.Buffer{}, Options{Log: "-", Input: strings.NewReader(""), Filter: spec})
			if !errors.Is(err, ErrUsage) {
				t.Errorf("error %v", err)
			}
		})
	}
	err := Run(t.Context(), &bytes.Buffer{}, Options{Log: filepath.Join(t.TempDir(), "none"), Filter: "sshd"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestHarmlessOutput: a log must not be able to drive the terminal.
func TestHarmlessOutput(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	line := "Nov 22 15:20:08 vm sshd[1]: Failed password for \x1b]0;x\a\u202e from 198.51.100.66 port 1 ssh2 and more"
	if err := Run(t.Context(), &out, Options{Log: line, Filter: "sshd", Year: 2026}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\a\u202e") {
		t.Errorf("control characters in %q", out.String())
	}
}

// TestLinesAsTheyStand: empty, unfinished and very long lines are each one line.
func TestLinesAsTheyStand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, log string
		lines     int
	}{
		{"nothing", "", 0},
		{"one empty line", "\n", 1},
		{"empty lines at the end", "a\n\n\n", 3},
		{"no newline at the end", "a\nb", 2},
		{"longer than a block", strings.Repeat("x", 3*blockSize) + "\nb\n", 2},
		{"longer than the buffer", strings.Repeat("x", 1<<20) + "\n\nb", 3},
		{"many blocks", strings.Repeat("line\n", 20_000), 20_000},
	} {
		var out bytes.Buffer
		if err := Run(t.Context(), &out, Options{Log: "-", Input: strings.NewReader(c.log), Filter: `no <ADDR> here`, JSON: true, Location: time.UTC}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), "\n"); got != c.lines {
			t.Errorf("%s: %d lines, want %d", c.name, got, c.lines)
		}
	}
}
