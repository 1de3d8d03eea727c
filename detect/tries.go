package detect

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Slow guessing. Who tries a password every few minutes stays below any count of failures within minutes, and a count of failures within a day
// takes mail programs with an old password, and people, for guessers. What differs is how many user names one source fails with: the same
// sequential test as for doors (Jung, Paxson, Berger, Balakrishnan 2004), a door being a user name. Who is who he says mistypes his password one
// time in five; a guesser fails with every name: ln 5 a name against ln 9900 make six names. The same name again says nothing, but for
// names that only guessers try, or that come with a system, and names that the server says it does not know, which are nobody's old password: these
// count a half, as trap ports do, once there is another name.
//
// Where many addresses try one such name (a case of distributed guessing), half as many names judge each of them, and another name is not waited for
// where the server does not know the one: chance brings nobody there. Where it is one name that may exist, as root, two thirds are needed: an
// administrator mistypes too, and not every server logs that he got in.

const (
	tryCost   = 32
	tryName   = 2             // a new name, in halves
	tryTrap   = 1             // again a name that guessers try
	tryCredit = 3600          // seconds between two log-ins that take failures off
	tryBefore = 10 * 60 * 1e9 // what failed so long before a log-in, in nanoseconds, is taken off by it
	maxTrap   = 64            // bytes of a trap name
	maxNames  = 64
)

// DefaultTrapNames lists user names that guessers try: of administrators, of makers and of systems. Names under which programs log in by
// themselves, whose password may be an old one for days, are not among them.
func DefaultTrapNames() []string {
	return []string{
		"admin", "administrator", "ftp", "ftpuser", "guest", "mysql", "oracle", "pi", "postgres", "root", "sa", "support", "test", "ubnt", "ubuntu", "user",
	}
}

// try is one failure that counts towards slow guessing.
type try struct {
	at     int64 // Unix nanoseconds
	name   uint32
	weight uint8
	whose  owner
	proven bool
}

// owner says whose a user name is.
type owner uint8

const (
	somebodys owner = iota // for all that is known
	guessers               // one that guessers try
	nobodys                // the server says that it does not know it
	lastOwner = nobodys
)

// whose says whose the user name of a failure is.
func (d *Detector) whose(o *Observation) owner {
	switch {
	case o.User == "":
		return somebodys
	case noSuchUser(o.Text, o.User):
		return nobodys
	case len(o.User) <= maxTrap && d.trapNames[strings.ToLower(o.User)]:
		return guessers
	}
	return somebodys
}

// name hashes a user name under the seed, so that nobody can choose names that are taken for one.
func (h keyed) name(s string) uint32 {
	x := h.a
	for i := range len(s) {
		x = (x ^ uint64(s[i])) * 0x100000001b3 // FNV-1a
	}
	return uint32(fold(x^h.b, h.c) >> 16)
}

// try counts the user name that a failure was for.
func (d *Detector) try(s *source, js *jailState, o *Observation, whose owner, at int64) {
	c := &d.config.Guess
	if c.Names == 0 || o.User == "" {
		return
	}
	oldest := max(at, d.newestTry(js)) - int64(c.NamesWindow)
	if at < oldest {
		return
	}
	before := len(js.tries)
	js.tries = slices.DeleteFunc(js.tries, func(t try) bool { return t.at < oldest })
	name, weight := d.hash.name(o.User), uint8(tryName)
	if slices.ContainsFunc(js.tries, func(t try) bool { return t.name == name }) {
		weight = 0
		if whose != somebodys {
			weight = tryTrap
		}
	}
	if weight > 0 {
		i := len(js.tries)
		for i > 0 && js.tries[i-1].at > at {
			i--
		}
		js.tries = slices.Insert(js.tries, i, try{at: at, name: name, weight: weight, whose: whose, proven: o.Proven})
		if over := len(js.tries) - tryName*c.Names; over > 0 { // older ones can no longer decide
			js.tries = slices.Delete(js.tries, 0, over)
		}
	}
	d.triesChanged(s, before, len(js.tries))
}

// noSuchUser says whether a line of sshd, Apache or nginx tells that it knows no such user. A name that pretends it harms only who tries it.
func noSuchUser(text, user string) bool {
	for rest := text; ; {
		_, behind, ok := strings.Cut(rest, " user ")
		if !ok {
			return false
		}
		before := rest[:len(rest)-len(behind)-len(" user ")]
		quoted := strings.TrimPrefix(behind, `"`)
		if unknown(before) {
			return strings.HasPrefix(behind, user)
		}
		if after, ok := strings.CutPrefix(quoted, user); ok {
			return strings.HasPrefix(after, " not found") || strings.HasPrefix(after, `" was not found`)
		}
		rest = behind
	}
}

// unknown says whether what stands before " user " is sshd's word for one it does not know; the capital begins a message.
func unknown(before string) bool {
	for _, word := range [...]string{" invalid", " illegal", " Invalid", " Illegal"} {
		if strings.HasSuffix(before, word) {
			return true
		}
	}
	return false
}

func (d *Detector) newestTry(js *jailState) int64 {
	if n := len(js.tries); n > 0 {
		return js.tries[n-1].at
	}
	return 0
}

// triesChanged keeps account of the memory.
func (d *Detector) triesChanged(s *source, before, after int) {
	s.counts += (after - before) * tryCost
	d.logs.counts += (after - before) * tryCost
}

// addTries adds to a jail's share what the names say that were tried. They never enter the sum over jails: they judge alone, or not at all. In a
// crowd, where many addresses try one of the names, fewer are enough.
func (d *Detector) addTries(sh *share, js *jailState, crowd bool, at int64) {
	c := &d.config.Guess
	if c.Names == 0 || len(js.tries) == 0 {
		return
	}
	oldest := max(at, d.newestTry(js)) - int64(c.NamesWindow)
	var all, odd tried // odd: of names that are nobody's
	for i := range js.tries {
		t := &js.tries[i]
		if t.at < oldest {
			continue
		}
		all.add(t)
		if t.whose != somebodys {
			odd.add(t)
		}
	}
	full := float64(tryName * c.Names)
	few := full
	switch {
	case !crowd || odd.sum == 0:
	case odd.others || odd.unknown:
		few = math.Ceil(float64(c.Names)/2) * tryName
	default:
		few = math.Ceil(float64(c.Names)*2/3) * tryName
	}
	best := all
	switch {
	case few < full && float64(odd.sum)/few >= float64(all.sum)/full:
		best, full = odd, few
	case !all.others:
		return // one name over and over may be a program with an old key or password
	}
	sh.tried = float64(best.sum) / full
	if sh.tried < nearlyOne || sh.tried <= sh.own {
		return
	}
	sh.byNames, sh.own, sh.provenOwn, sh.names = true, sh.tried, float64(best.proven)/full, full/tryName
	sh.allProven = best.proven == best.sum
	sh.first, sh.last, sh.failures = best.first, best.last, max(js.failures, 1)
}

// tried sums up tries.
type tried struct {
	sum, proven int // in halves
	first, last int64
	name        uint32
	others      bool // more than one name
	unknown     bool // one that the server does not know
}

func (t *tried) add(x *try) {
	if t.first == 0 {
		t.first, t.name = x.at, x.name
	}
	t.last = x.at
	t.sum += int(x.weight)
	t.others = t.others || x.name != t.name
	t.unknown = t.unknown || x.whose == nobodys
	if x.proven {
		t.proven += int(x.weight)
	}
}

// excuse takes off what a source failed with that has logged in now: with the same name, somebody who mistyped. Where the name is not known, what it
// failed with shortly before, once an hour, or else whoever has an account could guess on others between two log-ins of his own.
func (d *Detector) excuse(n *Notice, at int64) {
	jail, ok := d.jails[n.Jail]
	if !ok || jail < 0 || d.config.Guess.Names == 0 {
		return
	}
	s := d.logs.sources[d.sourceKeyOf(jail, n.Source.Addr().Unmap().WithZone(""), n.ID)]
	if s == nil {
		return
	}
	js := s.in(jail)
	if js == nil || len(js.tries) == 0 {
		return
	}
	before := len(js.tries)
	if n.User != "" {
		name := d.hash.name(n.User)
		js.tries = slices.DeleteFunc(js.tries, func(t try) bool { return t.name == name })
	} else if js.excused == 0 || at >= js.excused+tryCredit*int64(time.Second) {
		js.tries = slices.DeleteFunc(js.tries, func(t try) bool { return t.at <= at && t.at >= at-tryBefore })
		if len(js.tries) < before {
			js.excused = at
		}
	}
	if len(js.tries) < before {
		d.stats.credits++
	}
	d.triesChanged(s, before, len(js.tries))
}

// namesReason tells a share that names alone made full.
func (d *Detector) namesReason(j *JailConfig, sh *share, users string) string {
	c := &d.config.Guess
	text := fmt.Sprintf("%s: slow guessing, %s in %s", j.Name, plural(sh.failures, "failure"), span(time.Duration(sh.last-sh.first)))
	if users != "" {
		text += ", as " + users
	}
	names := strconv.FormatFloat(sh.names, 'f', -1, 64)
	text += fmt.Sprintf("; score %s (%s of %s user names within %s", score(sh), strconv.FormatFloat(sh.tried*sh.names, 'f', -1, 64), names, span(c.NamesWindow))
	text += ", repeated tries of common or unknown names count half"
	if sh.names < float64(c.Names) {
		text += "; few suffice, since many addresses try them"
	}
	text += ")"
	if !sh.allProven {
		text += "; the address is not proven"
	}
	return text
}
