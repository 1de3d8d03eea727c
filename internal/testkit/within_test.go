package testkit

import (
	"errors"
	"testing"
	"time"
)

func TestCrowdOf(t *testing.T) {
	for _, c := range []struct {
		loadavg    string
		processors int
		want       float64
	}{
		{"0.00 0.01 0.05 1/99 17575\n", 2, 1},
		{"2.00 1.50 1.20 2/180 4711\n", 2, 1},
		{"20.00 9.00 4.00 3/400 4711\n", 2, 19}, // the last minute was busy
		{"0.50 0.20 0.10 8/400 4711\n", 2, 7},   // it has just become busy
		{"20.00 9.00 4.00 3/400 4711\n", 32, 1},
		{"", 2, unknownCrowd},
		{"busy 1 2 3/4 5", 2, unknownCrowd},
		{"0.50 0.20 0.10 8 4711", 2, unknownCrowd},
	} {
		if got := crowdOf(c.loadavg, c.processors); got != c.want {
			t.Errorf("%q, %d processors: %v, want %v", c.loadavg, c.processors, got, c.want)
		}
	}
}

// fatal is a test whose failure ends it without failing the one that made it.
type fatal struct {
	testing.TB
	said string
}

var errFatal = errors.New("failed")

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(format string, _ ...any) {
	f.said = format
	panic(errFatal)
}

func TestWithin(t *testing.T) {
	asked := 0
	Within(t, time.Minute, "the third answer", func() bool { asked++; return asked == 3 })
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
	f := &fatal{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(errFatal) {
				panic(p)
			}
		}()
		Within(f, 20*time.Millisecond, "nothing", func() bool { return false })
	}()
	if f.said == "" {
		t.Error("what never happens is waited for without a failure")
	}
}
