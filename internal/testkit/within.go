package testkit

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// unknownCrowd is the crowd that is assumed where the system does not tell how many threads want to run.
const unknownCrowd = 10

// mostExtra bounds what Within adds to a limit on a busy machine, so that what hangs is still found before "go test" itself gives up.
const mostExtra = 3 * time.Minute

// Within asks done again and again until it answers true, and returns how long that took. It is for waiting for other processes and for
// goroutines that give no sign; it fails the test when limit is over, saying what it waited for.
//
// limit is what it may take on a machine that has nothing else to do. Where more threads want to run than there are processors, time counts as
// much less as these are more, up to three minutes beyond the limit: a limit finds what is too slow or hangs, not what others do on the machine.
func Within(t testing.TB, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	last := began
	var counted time.Duration // of the time since began
	for !done() {
		<-tick.C
		now := time.Now()
		counted += time.Duration(float64(now.Sub(last)) / crowd())
		last = now
		if took := now.Sub(began); counted > limit || took > limit+mostExtra {
			t.Fatalf("%s: not within %v (%v on this machine, as busy as it is)", what, limit, took.Round(time.Millisecond))
		}
	}
	return time.Since(began)
}

// Stretched is a limit as Within would count it now: for what is measured, not asked for again and again.
func Stretched(limit time.Duration) time.Duration {
	return min(time.Duration(float64(limit)*crowd()), limit+mostExtra)
}

// crowd tells how many times longer things take on this machine than on one that has nothing else to do, at least 1.
func crowd() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return unknownCrowd
	}
	return crowdOf(string(text), runtime.GOMAXPROCS(0))
}

// crowdOf reads what proc_loadavg(5) says: the mean of the last minute, which counts who waits for a disk, too, and how many want to run just
// now, whichever is more. What is done takes turns at both ends: by the daemon that is waited for, and by the programs that the test asks.
func crowdOf(loadavg string, processors int) float64 {
	f := strings.Fields(loadavg)
	if len(f) < 4 {
		return unknownCrowd
	}
	mean, err := strconv.ParseFloat(f[0], 64)
	running, _, found := strings.Cut(f[3], "/")
	now, also := strconv.ParseFloat(running, 64)
	if err != nil || also != nil || !found {
		return unknownCrowd
	}
	return 1 + 2*max(0, max(mean, now)-float64(processors))/float64(processors)
}
