package simulate

import (
	"hash/fnv"
	"math"
	"math/bits"
	"time"
)

// random is a small generator of random numbers, one for each sender: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, 2014). Its state is one word, which counts where there are a hundred thousand senders.
type random struct{ state uint64 }

// newRandom seeds by who the sender is, so that nobody's numbers depend on who else is there.
func newRandom(seed uint64, class string, number uint64) random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(class)) // never fails
	r := random{seed ^ h.Sum64()}
	r.state ^= r.next() + number*0x9e3779b97f4a7c15
	r.next()
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n gives a number from 0 to most-1.
func (r *random) n(most int) int {
	hi, _ := bits.Mul64(r.next(), uint64(most))
	return int(hi)
}

// from gives a number from low to high, both included.
func (r *random) from(low, high int) int { return low + r.n(high-low+1) }

func (r *random) float() float64 { return float64(r.next()>>11) / (1 << 53) }

func (r *random) chance(p float64) bool { return r.float() < p }

// span gives a duration from low to high in nanoseconds.
func (r *random) span(low, high time.Duration) int64 {
	return int64(low) + int64(r.float()*float64(high-low))
}

// exponential gives a waiting time with the given mean, as of a Poisson process.
func (r *random) exponential(mean time.Duration) int64 {
	return int64(-math.Log(1-r.float()) * float64(mean))
}

// port gives a client's port.
func (r *random) port() uint16 { return uint16(r.from(32768, 60999)) }

// spread gives, one after the other and in order, what would be left uniform times from at until end: the least of left ones.
func (r *random) spread(at, end int64, left int) int64 {
	if left <= 0 || end <= at {
		return done
	}
	return at + int64(float64(end-at)*(1-math.Pow(1-r.float(), 1/float64(left))))
}

func pick[T any](r *random, list []T) T { return list[r.n(len(list))] }

// some gives n different ones of list, in random order.
func some[T any](r *random, list []T, n int) []T {
	list = append([]T(nil), list...)
	n = min(n, len(list))
	for i := range n {
		j := i + r.n(len(list)-i)
		list[i], list[j] = list[j], list[i]
	}
	return list[:n]
}
