package hooks

import (
	"context"
	"maps"

	"pfwarden/internal/ledger"
)

// State is what an action has been made to do, for the daemon that takes its place at a reload: there its commands are not run again.
type State struct {
	Name    string                       `json:"name"`   // jail/action
	Digest  string                       `json:"digest"` // of its commands and options
	Started map[string]bool              `json:"started"`
	Items   map[string]bool              `json:"items"`
	Done    map[string]map[string]string `json:"done"`
}

// HandOver is Stop for a daemon that is followed by another: actions that keep says stay as they are, and their states are returned once
// what waits for them is done. All others are stopped.
func (h *Hooks) HandOver(ctx context.Context, live []ledger.Ban, keep map[string]string) ([]State, error) {
	var kept []*action
	h.mu.Lock()
	for _, n := range h.order {
		a := h.actions[n]
		if d, ok := keep[n.String()]; ok && d == a.digest() {
			kept = append(kept, a)
		} else {
			h.end(a, live)
		}
	}
	err := h.drained(ctx)
	var tried []*action
	for _, a := range kept {
		if a.onDemand || a.startTried {
			tried = append(tried, a)
		}
	}
	h.mu.Unlock()
	if err != nil {
		return nil, err // who comes after begins anew: its actions' starts, and bans that are made again, do no harm
	}
	var out []State
	for _, a := range tried {
		a.mu.Lock()
		s := State{Name: a.name.String(), Digest: a.digest(), Started: maps.Clone(a.started), Items: maps.Clone(a.items), Done: make(map[string]map[string]string)}
		for verb, texts := range a.done {
			s.Done[verb] = maps.Clone(texts)
		}
		a.mu.Unlock()
		out = append(out, s)
	}
	return out, nil
}

// Adopt takes over the states that the daemon before has left, which has stopped its other actions in order. It must be called before Start.
func (h *Hooks) Adopt(states []State) (adopted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.o.Unclean = false
	byName := make(map[string]*action)
	for n, a := range h.actions {
		byName[n.String()] = a
	}
	for _, s := range states {
		a := byName[s.Name]
		if a == nil || a.digest() != s.Digest {
			continue
		}
		a.mu.Lock()
		maps.Copy(a.started, s.Started)
		maps.Copy(a.items, s.Items)
		maps.Copy(a.done, s.Done)
		a.mu.Unlock()
		a.startTried, a.adopted = true, true
		adopted++
	}
	return adopted
}
