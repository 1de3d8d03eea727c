// Package controltest holds a daemon for tests: it answers as it is told and remembers what it was asked.
package controltest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"pfwarden/internal/control"
)

// Service is a control.Service whose answers are its fields. The zero value answers with nothing.
type Service struct {
	State     control.Status
	List      []control.Ban
	Result    control.BanResult
	NeverList []control.NeverEntry
	Told      control.Explanation
	View      control.PFView
	Items     []control.HealthItem
	Err       error // what every method returns

	mu    sync.Mutex
	calls []string
}

var _ control.Service = (*Service)(nil)

// Calls returns what was asked so far, one line a call.
func (s *Service) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *Service) call(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

// Status answers State; of a jail that State does not hold, control.ErrNotFound.
func (s *Service) Status(_ context.Context, jail string) (control.Status, error) {
	s.call("status %q", jail)
	if s.Err != nil || jail == "" {
		return s.State, s.Err
	}
	one := s.State
	one.Jails = nil
	for _, j := range s.State.Jails {
		if j.Name == jail {
			one.Jails = append(one.Jails, j)
		}
	}
	if one.Jails == nil {
		return one, fmt.Errorf("%w: there is no jail %q", control.ErrNotFound, jail)
	}
	one.Bans = s.List
	return one, nil
}

// Bans answers List.
func (s *Service) Bans(_ context.Context, q control.BanQuery) ([]control.Ban, error) {
	s.call("bans %v %q %q", q.Prefix, q.Table, q.Jail)
	return s.List, s.Err
}

// Ban answers Result.
func (s *Service) Ban(_ context.Context, by string, o control.BanOrder) (control.BanResult, error) {
	s.call("ban %v for %v forever %t reason %q by %s", o.Prefixes, o.For, o.Forever, o.Reason, by)
	return s.Result, s.Err
}

// Unban answers Result.
func (s *Service) Unban(_ context.Context, by string, o control.UnbanOrder) (control.BanResult, error) {
	s.call("unban %v all %t by %s", o.Prefixes, o.All, by)
	return s.Result, s.Err
}

// Never answers NeverList.
func (s *Service) Never(context.Context) ([]control.NeverEntry, error) {
	s.call("never")
	return s.NeverList, s.Err
}

// NeverAdd answers Result.
func (s *Service) NeverAdd(_ context.Context, by string, prefixes []netip.Prefix, comment string) (control.BanResult, error) {
	s.call("never add %v comment %q by %s", prefixes, comment, by)
	return s.Result, s.Err
}

// NeverRemove answers Result.
func (s *Service) NeverRemove(_ context.Context, by string, prefixes []netip.Prefix) (control.BanResult, error) {
	s.call("never remove %v by %s", prefixes, by)
	return s.Result, s.Err
}

// Pause answers Err.
func (s *Service) Pause(_ context.Context, by string, flush bool) error {
	s.call("pause flush %t by %s", flush, by)
	return s.Err
}

// Resume answers Err.
func (s *Service) Resume(_ context.Context, by string) error {
	s.call("resume by %s", by)
	return s.Err
}

// Explain answers Told.
func (s *Service) Explain(_ context.Context, p netip.Prefix) (control.Explanation, error) {
	s.call("explain %s", control.FormatPrefix(p))
	return s.Told, s.Err
}

// PF answers View.
func (s *Service) PF(context.Context) (control.PFView, error) {
	s.call("pf")
	return s.View, s.Err
}

// Health answers Items.
func (s *Service) Health(context.Context) ([]control.HealthItem, error) {
	s.call("health")
	return s.Items, s.Err
}
