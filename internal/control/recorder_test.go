package control

import (
	"context"
	"net/netip"
)

// recorder is the smallest Service: it counts calls and fails with err. (The full stand-in is controltest.Service, which this
// package cannot use from inside.)
type recorder struct {
	Service
	calls []string
	err   error
	bans  []Ban
}

func (r *recorder) Status(_ context.Context, jail string) (Status, error) {
	r.calls = append(r.calls, "status "+jail)
	return Status{Version: "test"}, r.err
}

func (r *recorder) Bans(_ context.Context, q BanQuery) ([]Ban, error) {
	r.calls = append(r.calls, "bans")
	return r.bans, r.err
}

func (r *recorder) Ban(_ context.Context, by string, o BanOrder) (BanResult, error) {
	r.calls = append(r.calls, "ban by "+by)
	for _, p := range o.Prefixes {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			panic("an address that is not canonical reached the service")
		}
	}
	if len(o.Prefixes) == 0 || o.For < 0 || o.Forever && o.For != 0 {
		panic("an order that makes no sense reached the service")
	}
	res := BanResult{}
	for _, p := range o.Prefixes {
		res.Bans = append(res.Bans, Ban{Address: FormatPrefix(p)})
	}
	return res, r.err
}

func (r *recorder) Unban(_ context.Context, by string, o UnbanOrder) (BanResult, error) {
	r.calls = append(r.calls, "unban by "+by)
	if o.All == (len(o.Prefixes) > 0) {
		panic("an order that makes no sense reached the service")
	}
	return BanResult{}, r.err
}
func (r *recorder) Never(context.Context) ([]NeverEntry, error) { return nil, r.err }
func (r *recorder) NeverAdd(context.Context, string, []netip.Prefix, string) (BanResult, error) {
	r.calls = append(r.calls, "never add")
	return BanResult{}, r.err
}
func (r *recorder) NeverRemove(context.Context, string, []netip.Prefix) (BanResult, error) {
	r.calls = append(r.calls, "never remove")
	return BanResult{}, r.err
}
func (r *recorder) Pause(context.Context, string, bool) error {
	r.calls = append(r.calls, "pause")
	return r.err
}
func (r *recorder) Resume(context.Context, string) error {
	r.calls = append(r.calls, "resume")
	return r.err
}
func (r *recorder) Explain(context.Context, netip.Prefix) (Explanation, error) {
	return Explanation{}, r.err
}
func (r *recorder) PF(context.Context) (PFView, error)           { return PFView{}, r.err }
func (r *recorder) Health(context.Context) ([]HealthItem, error) { return nil, r.err }
