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
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-s.tasks:
			if t.host == "" {
				s.pass(ctx, t.obs)
				s.done(1)
				continue
			}
			addrs := s.addresses(ctx, t.host)
			s.mu.Lock()
			waiters := s.inFlight[t.host]
			delete(s.inFlight, t.host)
			s.mu.Unlock()
			for _, o := range waiters {
				if s.opts.Jails[o.Jail].Warn && len(addrs) > 0 {
					s.opts.Log.Warn("a host name in a log was looked up: prefer logs with addresses", "jail", o.Jail, "host", t.host)
				}
				s.pass(ctx, each(o, addrs)...)
			}
			s.done(len(waiters))
		}
	}
}

func (s *Screen) done(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting -= n
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

// pass asks lists and commands and hands over what is left of one record.
func (s *Screen) pass(ctx context.Context, all ...detect.Observation) {
	left := slices.DeleteFunc(all, func(o detect.Observation) bool {
		j := s.opts.Jails[o.Jail]
		return s.listed(&j, &o) || j.Command != nil && s.ask(ctx, j.Command, &o)
	})
	if len(left) == 0 || ctx.Err() != nil {
		return
	}
	select {
	case s.results <- left:
	case <-ctx.Done():
	}
}

// addresses looks a name up, or answers from the cache.
func (s *Screen) addresses(ctx context.Context, host string) []netip.Addr {
	s.mu.Lock()
	addrs, known := s.names.get(host, s.opts.Now())
	if known {
		s.stats.Names["cached"]++
	}
	s.mu.Unlock()
	if known {
		return addrs
	}
	within, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := s.opts.Resolver.LookupNetIP(within, "ip", host)
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
	return addrs
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
		s.answered("cached", ignore)
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
		return true // stopping: nothing is handed over
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
		s.opts.Log.Warn("ignore command did not answer; its source counts", "jail", o.Jail, "program", c.args[0], "status", status, "error", err)
	}
	ignore = outcome == "run" && status == 0
	s.answers[o.Jail].put(key, ignore, s.opts.Now().Add(min(keep, c.keep)))
	s.answered(outcome, ignore)
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

// answered counts an answer. It is called with mu held.
func (s *Screen) answered(outcome string, ignore bool) {
	s.stats.Commands[outcome]++
	if ignore {
		s.stats.Commands["ignored"]++
	}
}

// commandKey is what makes two questions the same one.
func commandKey(jail string, values []string) string {
	return jail + "\x00" + strings.Join(values, "\x00") // no value holds a NUL byte
}
