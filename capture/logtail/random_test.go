package logtail

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pfwarden/capture"
)

// TestRandomOperations lets a writer, a rotator and restarts happen in any order and asks that every line written is read
// exactly once. The model is the list of lines written; lines of one file must also come in their order.
func TestRandomOperations(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { randomOperations(t, r) })
}

func randomOperations(t *testing.T, r *rapid.T) {
	w := newWorld(t, func(o *Options) {
		o.MaxOpen = rapid.IntRange(1, 3).Draw(r, "maxOpen")
		o.Paths = []string{"log", "other*"}
	})
	defer w.Stop()
	m := &model{w: w, next: map[string]int{}, partial: map[string]string{}}
	for range 4 {
		m.write("log", 1)
		m.write("other1", 1)
	}
	w.start()
	r.Repeat(map[string]func(*rapid.T){
		"write": func(r *rapid.T) { m.write("log", rapid.IntRange(1, 50).Draw(r, "lines")) },
		"writeOther": func(r *rapid.T) {
			m.write(rapid.SampledFrom([]string{"other1", "other2", "other3"}).Draw(r, "name"), 2)
		},
		"partial": func(r *rapid.T) { m.begin("log") },
		"look":    func(r *rapid.T) { w.Look() },
		"pass": func(r *rapid.T) {
			m.late = false
			w.Pass(time.Duration(rapid.IntRange(1, 20).Draw(r, "seconds")) * time.Second)
		},
		"rename": func(r *rapid.T) { m.rotate() },
		"late": func(r *rapid.T) { // a writer that still has the old file
			if m.late {
				w.Look() // it is known by now
				m.write("log.0", 1)
				w.Look()
			}
		},
		"copytruncate": func(r *rapid.T) {
			m.complete("log") // what is cut in two by the truncation is two lines
			w.Look()          // a file of which nothing was seen yet would leave no trace
			m.write("log", 2) // read from the copy
			m.shift()
			w.copyAndTruncate("log", "log.0")
			m.write("log", 1)
			w.Look() // a second truncation before this look would be one that left no trace
		},
		"truncate": func(r *rapid.T) {
			m.complete("log")
			w.Look()
			w.Must(os.Truncate(w.Path("log"), 0))
			w.Look()
			m.write("log", 1)
		},
		"delete": func(r *rapid.T) {
			m.complete("log")
			w.Look()
			w.Must(os.Remove(w.Path("log")))
			m.write("log", 1)
			w.Look()
		},
		"restart": func(r *rapid.T) { w.restart() },
		"restartFromLine": func(r *rapid.T) { // as after a crash: each path's last line is all that is known
			w.Stop()
			latest := map[string]capture.Position{}
			for _, p := range w.tailer.Starts() {
				latest[p.Path] = p
			}
			for _, l := range w.lines {
				latest[l.Origin] = l.Next
			}
			w.opts.Positions = nil
			for _, p := range latest {
				w.opts.Positions = append(w.opts.Positions, p)
			}
			w.start()
		},
		"stopped": func(r *rapid.T) {
			w.halt()
			m.write("log", 3)
			if rapid.Bool().Draw(r, "rotate") {
				m.rotate()
				m.write("log", 2)
			}
			if rapid.Bool().Draw(r, "twice") {
				m.rotate()
				m.write("log", 1)
			}
			w.start()
		},
	})
	m.complete("log")
	for range 12 {
		w.Look()
	}
	m.check(r)
}

type model struct {
	w       *world
	written []string
	next    map[string]int
	partial map[string]string
	late    bool // a writer may still write to log.0
	serial  int
}

// write ends an incomplete line and writes n more.
func (m *model) write(name string, n int) {
	m.complete(name)
	var b strings.Builder
	for range n {
		m.serial++
		line := entry(fmt.Sprintf("%s %06d", name, m.serial))
		m.written = append(m.written, line)
		b.WriteString(line + "\n")
	}
	m.w.Append(name, b.String())
}

func (m *model) begin(name string) {
	m.complete(name)
	m.serial++
	line := entry(fmt.Sprintf("%s %06d begun", name, m.serial))
	m.w.Append(name, line)
	m.partial[name] = line
}

func (m *model) complete(name string) {
	if line := m.partial[name]; line != "" {
		m.w.Append(name, "\n")
		m.written = append(m.written, line)
		m.partial[name] = ""
	}
}

// rotate does what newsyslog does.
func (m *model) rotate() {
	m.complete("log")
	m.shift()
	m.w.Rename("log", "log.0")
	m.write("log", 1)
	m.late = true
}

func (m *model) shift() {
	m.late = false
	for i := 8; i >= 0; i-- {
		if _, err := os.Stat(m.w.Path(fmt.Sprintf("log.%d", i))); err == nil {
			m.w.Rename(fmt.Sprintf("log.%d", i), fmt.Sprintf("log.%d", i+1))
		}
	}
}

func (m *model) check(r *rapid.T) {
	got, want := m.w.texts(), slices.Clone(m.written)
	slices.Sort(got)
	slices.Sort(want)
	if slices.Equal(got, want) {
		return
	}
	count := map[string]int{}
	for _, l := range want {
		count[l]++
	}
	for _, l := range got {
		count[l]--
	}
	for _, l := range slices.Compact(append(want, got...)) {
		switch n := count[l]; {
		case n > 0:
			r.Errorf("lost: %q", l)
		case n < 0:
			r.Errorf("read %d times too often: %q", -n, l)
		}
		count[l] = 0
	}
}
