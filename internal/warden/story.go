package warden

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// Bounds of what a ban keeps of its verdict.
const (
	maxEvidence = 32
	maxText     = 1024 // bytes of one evidence text or reason
	maxReasons  = 16
	maxFields   = 32
	maxReason   = 4096 // bytes of all reasons together: they stay in memory as long as the ban is in force
)

// story copies what is kept of a verdict, within bounds.
func story(v *detect.Verdict) ([]string, ledger.Story) {
	s := ledger.Story{Score: v.Score, Failures: v.Failures, Shares: slices.Clone(v.Shares), Gates: slices.Clone(v.Gates)}
	evidence := v.Evidence
	if len(evidence) > maxEvidence { // the first shows how it began, the last what tipped the scales
		evidence = slices.Concat(evidence[:maxEvidence/2], evidence[len(evidence)-maxEvidence/2:])
	}
	for _, e := range evidence {
		e.Text, e.User = clean(e.Text, maxText), clean(e.User, maxText)
		if len(e.Fields) > maxFields {
			e.Fields = nil
		}
		s.Evidence = append(s.Evidence, e)
	}
	var reasons []string
	left := maxReason
	for _, r := range v.Reasons[:min(len(v.Reasons), maxReasons)] {
		if r = clean(r, min(maxText, left)); r != "" {
			reasons = append(reasons, r)
		}
		left -= len(r)
	}
	return reasons, s
}

// clean cuts s at a character's end; it is a copy, so that no log chunk is kept alive by it.
func clean(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	return strings.Clone(s)
}

// storyBytes is about how much memory a story takes.
func storyBytes(s *ledger.Story) int {
	n := 64 * len(s.Shares)
	for i := range s.Gates {
		n += 64 + len(s.Gates[i].Text)
	}
	for i := range s.Evidence {
		e := &s.Evidence[i]
		n += 192 + len(e.Text) + len(e.User)
		for name, value := range e.Fields {
			n += 64 + len(name) + len(value)
		}
	}
	return n
}

// weigh counts what h tells of itself until the ledger has it. Where too much waits already, as it does when the ledger cannot be written for long,
// the ban is kept and its evidence is not.
func (w *Warden) weigh(h *held) {
	w.unweigh(h)
	weight := storyBytes(&h.Story)
	if weight > 0 && w.unwritten+weight > w.cfg.MaxUnwritten {
		h.Story.Evidence, h.Story.Gates = nil, nil
		h.Story.Lost = fmt.Sprintf("the evidence was left out: the ledger could not be written, and that of other bans took up %d bytes already", w.unwritten)
		w.stats.Shortened++
		weight = 0 // what is left is as small as the rest of the ban, and bounded with it by number
	}
	h.weight = weight
	w.unwritten += weight
}

// unweigh takes back weigh.
func (w *Warden) unweigh(h *held) {
	w.unwritten -= h.weight
	h.weight = 0
}

// telling is the ban as those hear of it who are told at once: with the whole story, also where the ledger gets a shorter one.
func (h *held) telling(b *ledger.Ban) ledger.Ban {
	told := *h.Ban
	told.Story = b.Story
	return told
}
