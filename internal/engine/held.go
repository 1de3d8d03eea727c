package engine

import (
	"slices"
	"strings"
	"time"

	"pfwarden/detect"
)

// held keeps failures that a log told without proof, until the other logs of the jail have had time to tell of them with proof: nginx writes a
// refused log-in into its error log, into which anybody can write any line, and then into its access log, which escapes. With both of them one
// failure is told twice, and the telling that proves more is to count.
type held struct {
	list []*waiting // oldest first
	of   map[attempt][]*waiting
}

type waiting struct {
	attempt
	o    detect.Observation
	log  string
	due  time.Time
	told bool // with proof, by another log
}

const (
	heldFor  = momentLength
	heldMost = 4096 // of which the oldest need not wait any longer
)

func (h *held) add(a attempt, o detect.Observation, log string, now time.Time) {
	if h.of == nil {
		h.of = make(map[attempt][]*waiting)
	}
	w := &waiting{attempt: a, o: o, log: log, due: now.Add(heldFor)}
	h.list, h.of[a] = append(h.list, w), append(h.of[a], w)
}

// drop takes out one that another log than this one has told.
func (h *held) drop(a attempt, log string) bool {
	for _, w := range h.of[a] {
		if w.log != log {
			w.told = true
			h.forget(w)
			return true
		}
	}
	return false
}

func (h *held) forget(w *waiting) {
	rest := slices.DeleteFunc(h.of[w.attempt], func(x *waiting) bool { return x == w })
	if h.of[w.attempt] = rest; len(rest) == 0 {
		delete(h.of, w.attempt)
	}
}

// due takes out the oldest, if it has waited long enough by now.
func (h *held) due(now time.Time) (o detect.Observation, ok bool) {
	for len(h.list) > 0 {
		w := h.list[0]
		if !w.told && len(h.list) <= heldMost && now.Before(w.due) {
			break
		}
		h.list[0] = nil
		h.list = h.list[1:]
		if !w.told {
			h.forget(w)
			return w.o, true
		}
	}
	return o, false
}

// release lets count what has waited long enough by now.
func (e *Engine) release(now time.Time) {
	for o, ok := e.held.due(now); ok; o, ok = e.held.due(now) {
		e.Observed(now, o)
	}
}

// Flush lets everything count that waits for another log's word. Call it before the detector's state is taken for the whole truth about the lines
// so far: before a snapshot, and at the end.
func (e *Engine) Flush(now time.Time) {
	for _, w := range e.held.list {
		if !w.told {
			e.Observed(now, w.o)
		}
	}
	e.held = held{}
}

// several tells whether more than one log may be read for a jail.
func (j *Jail) several() bool {
	return len(j.Logs) != 1 || strings.ContainsAny(j.Logs[0], "*?[")
}
