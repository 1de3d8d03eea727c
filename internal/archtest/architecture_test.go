package archtest

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// mayImport tells whether the program (not its tests) in one of our folders may import another of our folders.
// The arrows: cmd → internal/* → detect, pfctl, capture.
func mayImport(from, to string) bool {
	switch {
	case in(to, "cmd"):
		return false // nobody imports the command
	case in(to, "internal/testkit"):
		return in(from, "internal/testkit", "internal/livetest") // only tests, and the commands that measure pfwarden
	case from == "internal/testkit":
		return false // the tests of every package use it
	case in(from, "capture"):
		return in(to, "capture")
	case in(from, "pfctl"):
		return in(to, "pfctl")
	case in(from, "detect/filter", "detect/probe"):
		return in(to, "detect", "capture")
	case in(from, "detect"):
		// The core never knows the packages that turn records into observations.
		return in(to, "detect") && !in(to, "detect/filter", "detect/probe")
	case in(from, "internal", "cmd"):
		return true
	default:
		return false // a new folder: say here what it may import
	}
}

func TestArrows(t *testing.T) {
	for _, f := range sources(t) {
		if f.isTest {
			continue
		}
		for _, imported := range f.imports() {
			to, ours := strings.CutPrefix(imported, module+"/")
			if ours && !mayImport(f.folder, to) {
				t.Errorf("%s imports %s, against the arrows of docs/architecture.md", f.name, imported)
			}
		}
	}
}

func TestMayImport(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"cmd/pfwarden", "internal/engine", true},
		{"internal/engine", "capture/pflog", true},
		{"internal/engine", "cmd/pfwarden", false},
		{"internal/engine", "internal/testkit", false},
		{"cmd/pfwarden", "internal/testkit/golden", false},
		{"internal/livetest/bench", "internal/testkit/gateway", true},
		{"internal/testkit", "pfctl", false},
		{"detect", "detect/filter", false},
		{"detect", "capture", false},
		{"detect/filter", "capture", true},
		{"detect/filter/date", "detect", true},
		{"detect/probe", "pfctl", false},
		{"pfctl", "detect", false},
		{"pfctl", "internal/metrics", false},
		{"pfctl/pftest", "pfctl", true},
		{"capture/pflog", "capture", true},
		{"capture", "detect", false},
		{"newroom", "capture", false},
	} {
		if got := mayImport(c.from, c.to); got != c.want {
			t.Errorf("%s → %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// TestWhoRunsPrograms: other programs are started by three packages only. Tests may, and what measures pfwarden as a whole. The files named here start
// this program once more: as the worker, as the process that runs commands, to read a configuration, to bind a capture, and as the daemon that
// fail2ban-client is asked to start.
func TestWhoRunsPrograms(t *testing.T) {
	itself := []string{
		"internal/privsep/ask.go",
		"internal/privsep/parent.go",
		"internal/privsep/parentstart.go",
		"internal/privsep/companion.go",
		"internal/privsep/capture.go",
		"cmd/pfwarden/fail2banclient.go",
	}
	for _, f := range sources(t) {
		if f.isTest || in(f.folder, "pfctl", "internal/hooks", "internal/screen", "internal/livetest", "internal/testkit") || slices.Contains(itself, f.name) {
			continue
		}
		for _, imported := range f.imports() {
			if imported == "os/exec" {
				t.Errorf("%s imports os/exec; only pfctl, internal/hooks and internal/screen run other programs", f.name)
			}
		}
		for _, at := range f.uses("os", "StartProcess") {
			t.Errorf("%v: os.StartProcess", at)
		}
		for _, at := range append(f.uses("syscall", "Exec", "ForkExec", "StartProcess"), f.uses("golang.org/x/sys/unix", "Exec")...) {
			t.Errorf("%v: starts a program", at)
		}
	}
}

// TestClock: where time comes from the record, nobody asks the clock. A live capture may wait before it opens its interface again.
func TestClock(t *testing.T) {
	asks := []string{"Now", "Since", "Until", "Sleep"}
	waits := []string{"After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
	for _, f := range sources(t) {
		if f.isTest || !in(f.folder, "capture/pflog", "detect", "internal/warden") {
			continue
		}
		found := f.uses("time", asks...)
		if !in(f.folder, "capture/pflog") {
			found = append(found, f.uses("time", waits...)...)
		}
		for _, at := range found {
			t.Errorf("%v: asks the clock; time comes from the record here", at)
		}
	}
}

// TestNoSleepInTests: tests wait for what they wait for.
func TestNoSleepInTests(t *testing.T) {
	for _, f := range sources(t) {
		if !f.isTest {
			continue
		}
		for _, at := range f.uses("time", "Sleep") {
			t.Errorf("%v: a test sleeps; use a fake clock, a waker or a channel", at)
		}
	}
}

// TestNoInit: nothing happens by being imported.
func TestNoInit(t *testing.T) {
	for _, f := range sources(t) {
		for _, name := range f.functions() {
			if name == "init" && !f.isTest {
				t.Errorf("%s has an init function", f.name)
			}
		}
	}
}

// TestUses makes sure that the finder finds, also under another name.
func TestUses(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         int
	}{
		{"plain", "package p\nimport \"time\"\nvar x = time.Now()", 1},
		{"renamed", "package p\nimport clock \"time\"\nfunc f() { g(clock.Now) }", 1},
		{"another's", "package p\nimport \"time\"\nvar x = other.Now()\nvar y time.Time", 0},
		{"another name", "package p\nimport \"time\"\nvar x = time.Unix(0, 0)", 0},
	} {
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, c.name, c.source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := len((file{syntax: syntax, set: set}).uses("time", "Now")); got != c.want {
			t.Errorf("%s: %d uses, want %d", c.name, got, c.want)
		}
	}
}
