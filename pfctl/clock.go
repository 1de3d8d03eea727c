package pfctl

import (
	"sync"
	"time"
)

// Clock is the source of time, passed in so that tests control it.
type Clock interface {
	Now() time.Time
	// After delivers once, d from now.
	After(d time.Duration) <-chan time.Time
}

// SystemClock is the machine's own.
type SystemClock struct{}

// Now returns the time of day.
func (SystemClock) Now() time.Time { return time.Now() }

// After is time.After.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// bucket is a token bucket: burst at once, then one per interval.
type bucket struct {
	mu       sync.Mutex
	interval time.Duration
	burst    int
	tokens   float64
	last     time.Time
}

func newBucket(interval time.Duration, burst int, now time.Time) *bucket {
	return &bucket{interval: interval, burst: burst, tokens: float64(burst), last: now}
}

// take uses a token, or says how long to wait for one.
func (b *bucket) take(now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := now.Sub(b.last); d > 0 {
		b.tokens = min(float64(b.burst), b.tokens+float64(d)/float64(b.interval))
	}
	b.last = now // also when the clock went back: the bucket then merely fills from there
	if b.tokens >= 1-1e-9 {
		b.tokens--
		return 0
	}
	return max(time.Duration((1-b.tokens)*float64(b.interval)), time.Millisecond)
}
