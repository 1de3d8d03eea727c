package screen

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/detect"
)

// maxFromName bounds how many addresses of one name count.
const maxFromName = 16

// work does tasks until ctx is done.
func (s *Screen) work(ctx context.Context) {
	for ctx.Err() == nil { // a task that is put off must not be taken up again
		select {
		case <-ctx.Done():
		case t := <-s.tasks:
			if t.entry != nil {
				s.pass(ctx, t.entry, []detect.Observation{t.entry.Observation})
			} else {
				s.named(ctx, t)
			}
		}
	}
}

// named looks a name up for all that wait for it.
func (s *Screen) named(ctx context.Context, t task) {
	addrs, ok := s.addresses(ctx, t.host)
	s.mu.Lock()
	if !ok {
		s.tasks <- t // put off, with all that wait for it
		s.mu.Unlock()
		return
	}
	waiters := s.inFlight[t.host]
	delete(s.inFlight, t.host)
	s.mu.Unlock()
	for _, e := range waiters {
		if s.opts.Jails[e.Observation.Jail].Warn && len(addrs) > 0 {
			s.opts.Log.Warn("a host name in a log was looked up: prefer logs with addresses", "jail", e.Observation.Jail, "host", t.host)
		}
		s.pass(ctx, e, each(e.Observation, addrs))
	}
}

// each is o once for every address.
func each(o detect.Observation, addrs []netip.Addr) []detect.Observation {
	out := make([]detect.Observation, 0, len(addrs))
	for _, a := range addrs {
		o.Source, o.Proven = a, false
		out = append(out, o)
	}
	return out
}

// pass asks lists and commands about the observations of an entry and hands over what is left of them. If ctx ends meanwhile, the entry is put off.
func (s *Screen) pass(ctx context.Context, e *entry, all []detect.Observation) {
	left := slices.DeleteFunc(all, func(o detect.Observation) bool {
		j := s.opts.Jails[o.Jail]
		return s.listed(&j, &o) || j.Command != nil && s.ask(ctx, j.Command, &o)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() == nil:
		s.answer(e, left)
	case e.Host != "":
		s.look(e)
	default:
		s.tasks <- task{entry: e}
	}
}

// addresses looks a name up, or answers from the cache. It has no answer if ctx ended meanwhile.
func (s *Screen) addresses(ctx context.Context, host string) (_ []netip.Addr, ok bool) {
	s.mu.Lock()
	addrs, known := s.names.get(host, s.opts.Now())
	if known {
		s.stats.Names["cached"]++
	}
	s.mu.Unlock()
	if known {
		return addrs, true
	}
	within, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := s.opts.Resolver.LookupNetIP(within, "ip", host)
	if err != nil && ctx.Err() != nil {
		return nil, false
	}
	for _, a := range found {
		a = a.Unmap().WithZone("")
		if a.IsValid() && !slices.Contains(addrs, a) && len(addrs) < maxFromName {
			addrs = append(addrs, a)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ttl, outcome := s.opts.TTL, "looked_up"
	if err != nil {
		addrs, ttl, outcome = nil, ttl/5, "failed"
		s.opts.Log.Debug("host name from a log is not known", "host", host, "error", err)
	}
	s.stats.Names[outcome]++
	s.names.put(strings.Clone(host), addrs, s.opts.Now().Add(ttl))
	return addrs, true
}

// ask runs a command, or answers from the cache. A failure says no: the source counts.
func (s *Screen) ask(ctx context.Context, c *Command, o *detect.Observation) (ignore bool) {
	name, named := "", false
	key, ok := c.cacheKey(o, "", false)
	if !ok {
		name, named = s.nameOf(ctx, o.Source), true
		key, _ = c.cacheKey(o, name, true)
	}
	s.mu.Lock()
	ignore, known := s.answers[o.Jail].get(key, s.opts.Now())
	if known {
		s.count("cached", ignore)
	}
	s.mu.Unlock()
	if known {
		return ignore
	}
	if c.asksName() && !named {
		name = s.nameOf(ctx, o.Source)
	}
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, err := s.opts.Run(within, c, c.values(o, name))
	if ctx.Err() != nil {
		return true // stopping: its answer is not waited for, and it will be asked again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keep, outcome := c.keep, "run"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		keep, outcome = time.Minute, "timeout"
	case err != nil || status != 0 && status != 1:
		keep, outcome = time.Minute, "failed"
	}
	if outcome != "run" {
		s.opts.Log.Warn("ignore command did not answer; its source counts", "jail", o.Jail, "status", status, "error", err)
	}
	ignore = outcome == "run" && status == 0
	s.answers[o.Jail].put(key, ignore, s.opts.Now().Add(min(keep, c.keep)))
	s.count(outcome, ignore)
	return ignore
}

// nameOf looks up the name of an address.
func (s *Screen) nameOf(ctx context.Context, a netip.Addr) string {
	if s.opts.NameOf == nil || !a.IsValid() {
		return ""
	}
	within, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return s.opts.NameOf(within, a)
}

// count counts an answer. It is called with mu held.
func (s *Screen) count(outcome string, ignore bool) {
	s.stats.Commands[outcome]++
	if ignore {
		s.stats.Commands["ignored"]++
	}
}

// commandKey is what makes two questions the same one.
func commandKey(jail string, values []string) string {
	return jail + "\x00" + strings.Join(values, "\x00") // no value holds a NUL byte
}
