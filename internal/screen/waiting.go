package screen

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"slices"

	"pfwarden/detect"
)

// Waiting is an observation of which it is not known yet whether it counts: its name is being looked up, or its jail's command asked.
type Waiting struct {
	Host        string // to look up; "" = the command is asked
	Observation detect.Observation
}

// entry is one that waits, until the engine has taken what became of it.
type entry struct {
	Waiting
	number uint64               // in the order of coming
	left   []detect.Observation // once answered: what is to count
}

// Ready gives a value when Take has something to give.
func (s *Screen) Ready() <-chan struct{} { return s.ready }

// Take gives the observations that are to count after all, those of one record together. From then on they are the caller's: Waiting tells of
// them no more.
func (s *Screen) Take() [][]detect.Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all [][]detect.Observation
	for _, e := range s.answered {
		all = append(all, e.left)
		delete(s.entries, e.number)
	}
	s.answered = nil
	return all
}

// Waiting lists what was handed in and neither taken nor found not to count, in the order of coming. Whoever keeps it, and hands it to Again
// of this or another Screen, loses none and counts none twice.
func (s *Screen) Waiting() []Waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Waiting, 0, len(s.entries))
	for _, n := range slices.Sorted(maps.Keys(s.entries)) {
		list = append(list, s.entries[n].Waiting)
	}
	return list
}

// Again asks for observations that waited elsewhere, by the present settings. As many are taken as there is room for; others are counted as
// dropped.
func (s *Screen) Again(list []Waiting) {
	for _, x := range list {
		if o := x.Observation; x.Host != "" {
			s.Resolve(o.Jail, x.Host, o)
		} else if !s.Ignored(o.Jail, &o) {
			s.mu.Lock()
			s.answer(s.enter(x), []detect.Observation{o})
			s.mu.Unlock()
		}
	}
}

// EncodeWaiting writes a list so that DecodeWaiting reads it back byte for byte, whatever bytes a log held.
func EncodeWaiting(list []Waiting) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(list); err != nil {
		return nil, fmt.Errorf("writing %d failures that wait for a name or a command: %w", len(list), err)
	}
	return b.Bytes(), nil
}

// DecodeWaiting reads what EncodeWaiting wrote.
func DecodeWaiting(data []byte) ([]Waiting, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var list []Waiting
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&list); err != nil {
		return nil, fmt.Errorf("reading the failures that wait for a name or a command: %w", err)
	}
	return list, nil
}

// enter notes one that waits. It is called with mu held, and only where there is room.
func (s *Screen) enter(x Waiting) *entry {
	s.last++
	e := &entry{Waiting: x, number: s.last}
	s.entries[e.number] = e
	return e
}

// answer notes what is to count of an entry. It is called with mu held.
func (s *Screen) answer(e *entry, left []detect.Observation) {
	if len(left) == 0 {
		delete(s.entries, e.number)
		return
	}
	e.left = left
	s.answered = append(s.answered, e)
	select {
	case s.ready <- struct{}{}:
	default: // told already
	}
}
