package detect

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Guess is one case of distributed guessing: many addresses that try one user name, or many failing addresses of one prefix.
type Guess struct {
	User        string       // the name that is tried; "" for a prefix
	Prefix      netip.Prefix // the prefix the addresses are of; invalid for a user name
	Addresses   int          // exact below GuessExact, else estimated by linear counting (Whang, Vander-Zanden, Taylor 1990) in 256 bits
	Failures    int
	First, Last time.Time
}

const (
	guessLife   = 24 * time.Hour
	guessMost   = 4096
	guessSample = 8
)

// GuessExact is the least number of addresses of a Guess that is an estimate; fewer are counted exactly.
const GuessExact = 16

type guessKey struct {
	user   string
	prefix netip.Prefix
}

type guess struct {
	key         guessKey
	bits        [4]uint64
	few         []uint32 // hashes of the first addresses
	failures    int
	first, last int64
	told        bool // it was found to be a case
}

// note counts an address by its hash.
func (g *guess) note(h uint64) {
	g.bits[h>>6&3] |= 1 << (h & 63)
	if id := uint32(h >> 8); len(g.few) < GuessExact && !slices.Contains(g.few, id) {
		g.few = append(g.few, id)
	}
}

func (g *guess) addresses() int {
	if len(g.few) < GuessExact {
		return len(g.few)
	}
	set := 0
	for _, w := range g.bits {
		set += bits.OnesCount64(w)
	}
	if set >= 256 {
		set = 255
	}
	return max(int(math.Round(-256*math.Log(1-float64(set)/256))), GuessExact)
}

// guesses counts who guesses what, for reports. Where it is full, of a few entries taken in turn the weakest goes.
type guesses struct {
	of        map[guessKey]int // place in list
	list      []*guess
	hand      int
	window    time.Duration // within which a case must form
	addresses int
	dropped   uint64
	joined    int64 // when sources were last looked for who took part in a case
	looks     int   // what looking for them may cost at present
}

func newGuesses(c *GuessConfig) guesses {
	return guesses{of: map[guessKey]int{}, window: c.Window, addresses: c.Addresses}
}

// guess counts a failure for its user name and for its prefix. It says of which there is a case of distributed guessing, and of which this
// failure made one.
func (d *Detector) guess(o *Observation, at int64) (is, formed caseOf) {
	if !o.Source.IsValid() {
		return noCase, noCase
	}
	d.guesses.looks = min(d.guesses.looks+guessLooks, guessLooksMost)
	c := &d.config.Prefix
	h := d.hash.key(d.scanKey(o.Source))
	count := func(of caseOf, k guessKey) {
		g := d.guesses.note(k, h, at)
		if g.failures >= d.config.Guess.Failures && g.addresses() >= d.config.Guess.Addresses {
			is |= of
			if !g.told {
				formed |= of
			}
			g.told = true
		}
	}
	if o.User != "" {
		count(caseOfName, guessKey{user: o.User[:min(len(o.User), 64)]})
	}
	count(caseOfPrefix, guessKey{prefix: maskKey(o.Source, c.Bits4, c.Bits6).prefix(c.Bits4, c.Bits6)})
	return is, formed
}

// caseOf says by what a failure is one of distributed guessing.
type caseOf uint8

const noCase, caseOfName, caseOfPrefix caseOf = 0, 1, 2

// crowd says whether a failure in such a case counts against who failed. Unless the operator wants all cases acted on, it takes a name that is
// nobody's: customers of one provider mistype, and the telephones of one person move from address to address with an old password.
func (d *Detector) crowd(is caseOf, whose owner) bool {
	if d.config.Guess.Act {
		return is != noCase
	}
	return d.config.Guess.Names > 0 && is&caseOfName != 0 && whose != somebodys
}

// crowded says whether a source took part in distributed guessing lately.
func (d *Detector) crowded(s *source, at int64) bool {
	return s.guesser != 0 && at-s.guesser <= int64(d.config.Guess.Window)
}

const (
	guessJoins = 1024                    // sources that are looked for when a case forms
	guessPause = int64(10 * time.Second) // between two looks

	// What looking for sources costs is paid for by failures, so that no record costs more than this on average, whoever makes up however many
	// cases among however many sources: 1 for a source, 1 for a piece of its evidence, guessJudge for one that is judged. As each source that
	// is known has paid with its first failure at least, all of them are looked at unless cases form one after the other.
	guessLooks     = 64
	guessLooksMost = 1 << 18
	guessJudge     = 16
)

// join lets the sources that took part before it was known to be distributed guessing weigh more as well: those of the prefix, and those that
// tried the user name as far as their evidence is kept.
func (d *Detector) join(o *Observation, self *source, at int64) {
	if at < d.guesses.joined+guessPause && at > d.guesses.joined-guessPause {
		return // their next failures will do
	}
	d.guesses.joined = at
	c := &d.config.Prefix
	prefix := maskKey(o.Source, c.Bits4, c.Bits6)
	bits := c.Bits6
	if o.Source.Is4() {
		bits = 96 + c.Bits4
	}
	name := o.User[:min(len(o.User), maxUser)]
	hashed := d.hash.name(o.User)
	n := 0
	for s := d.logs.active.newest; s != nil && n < guessJoins && d.guesses.looks > 0; s = d.logs.active.older(s) {
		d.guesses.looks--
		if s == self || s.key.id != "" {
			continue
		}
		near := d.config.Guess.Act && s.key.key.is4() == o.Source.Is4() && s.key.key.mask(bits) == prefix
		for i := range s.jails {
			js := &s.jails[i]
			if !d.config.Jails[js.jail].Combine || len(js.hits) == 0 && len(js.tries) == 0 {
				continue
			}
			tried := false
			if !near && name != "" {
				d.guesses.looks -= len(js.evidence) + len(js.tries)
				tried = slices.ContainsFunc(js.tries, func(t try) bool { return t.name == hashed && t.whose != somebodys }) ||
					d.config.Guess.Act && slices.ContainsFunc(js.evidence, func(e Evidence) bool { return e.User == name })
			}
			if !near && !tried {
				continue
			}
			s.guesser = at
			n++
			d.guesses.looks -= guessJudge
			d.joined = append(d.joined, touch{addr: s.key.key.addr(), jail: js.jail, at: at})
			break
		}
	}
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
	x.note(h)
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

// String tells the case in one sentence.
func (g Guess) String() string {
	some := ""
	if g.Addresses >= GuessExact {
		some = "some "
	}
	return fmt.Sprintf("%s: %s by %s%d addresses within %s", g.What(), plural(g.Failures, "failure"), some, g.Addresses, span(g.Last.Sub(g.First)))
}

// What names what is guessed: a user name, or the prefix from which.
func (g Guess) What() string {
	if g.User != "" {
		return "user " + strconv.Quote(g.User)
	}
	return "from " + g.Prefix.String()
}

// Guesses returns the cases of distributed guessing within the given time before Now, those with most addresses first; 0 = all that are remembered.
func (d *Detector) Guesses(within time.Duration) []Guess {
	var list []Guess
	for _, x := range d.guesses.list {
		if n := x.addresses(); n >= d.config.Guess.Addresses && x.failures >= d.config.Guess.Failures && (within == 0 || d.now-x.last <= int64(within)) {
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
