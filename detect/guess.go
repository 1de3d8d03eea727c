package detect

import (
	"cmp"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Guess is one case of distributed guessing: many addresses that try one user name, or many failing addresses of one prefix.
type Guess struct {
	User        string       // the name that is tried; "" for a prefix
	Prefix      netip.Prefix // the prefix the addresses are of; invalid for a user name
	Addresses   int          // estimated by linear counting (Whang, Vander-Zanden, Taylor 1990) in 256 bits
	Failures    int
	First, Last time.Time
}

const (
	guessLife   = 24 * time.Hour
	guessMost   = 4096
	guessSample = 8
)

type guessKey struct {
	user   string
	prefix netip.Prefix
}

type guess struct {
	key         guessKey
	bits        [4]uint64
	failures    int
	first, last int64
}

func (g *guess) addresses() int {
	set := 0
	for _, w := range g.bits {
		set += bits.OnesCount64(w)
	}
	if set >= 256 {
		set = 255
	}
	return int(math.Round(-256 * math.Log(1-float64(set)/256)))
}

// guesses counts who guesses what, for reports. Where it is full, of a few entries taken in turn the weakest goes.
type guesses struct {
	of        map[guessKey]int // place in list
	list      []*guess
	hand      int
	window    time.Duration // within which a case must form
	addresses int
	dropped   uint64
}

func newGuesses(c *GuessConfig) guesses {
	return guesses{of: map[guessKey]int{}, window: c.Window, addresses: c.Addresses}
}

// guess counts a failure for its user name and for its prefix, and says whether one of them is a case of distributed guessing.
func (d *Detector) guess(o *Observation, at int64) bool {
	if !o.Source.IsValid() {
		return false
	}
	c := &d.config.Prefix
	h := d.hash.key(d.scanKey(o.Source))
	one := false
	if o.User != "" {
		one = d.isCase(d.guesses.note(guessKey{user: o.User[:min(len(o.User), 64)]}, h, at))
	}
	many := d.isCase(d.guesses.note(guessKey{prefix: maskKey(o.Source, c.Bits4, c.Bits6).prefix(c.Bits4, c.Bits6)}, h, at))
	return one || many
}

func (d *Detector) isCase(g *guess) bool {
	c := &d.config.Guess
	return g.failures >= c.Failures && g.addresses() >= c.Addresses
}

func (g *guesses) note(k guessKey, h uint64, at int64) *guess {
	i, ok := g.of[k]
	if !ok {
		if len(g.list) < guessMost {
			i = len(g.list)
			g.list = append(g.list, &guess{})
		} else {
			i = g.weakest(at)
			delete(g.of, g.list[i].key)
			g.dropped++
		}
		k.user = strings.Clone(k.user)
		*g.list[i] = guess{key: k, first: at, last: at}
		g.of[k] = i
	}
	x := g.list[i]
	if at-x.last > int64(guessLife) || at-x.first > int64(g.window) && x.addresses() < g.addresses {
		*x = guess{key: x.key, first: at, last: at}
	}
	x.bits[h>>6&3] |= 1 << (h & 63)
	x.failures = min(x.failures+1, math.MaxInt32)
	x.last = max(x.last, at)
	return x
}

func (g *guesses) weakest(at int64) int {
	best, least := 0, math.MaxInt
	for range guessSample {
		g.hand = (g.hand + 1) % len(g.list)
		x := g.list[g.hand]
		worth := x.addresses()
		if at-x.last > int64(guessLife) {
			worth = -1
		}
		if worth < least {
			best, least = g.hand, worth
		}
	}
	return best
}

// Guesses returns what distributed guessing there was in the last 24 hours, the widest first.
func (d *Detector) Guesses() []Guess {
	var list []Guess
	for _, x := range d.guesses.list {
		if n := x.addresses(); n >= d.config.Guess.Addresses && x.failures >= d.config.Guess.Failures && d.now-x.last <= int64(guessLife) {
			list = append(list, Guess{
				User: x.key.user, Prefix: x.key.prefix, Addresses: n, Failures: x.failures,
				First: time.Unix(0, x.first).UTC(), Last: time.Unix(0, x.last).UTC(),
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Guess) int {
		return cmp.Or(b.Addresses-a.Addresses, strings.Compare(a.User, b.User), a.Prefix.Compare(b.Prefix))
	})
	return list
}
