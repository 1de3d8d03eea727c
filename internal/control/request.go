package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
	"unicode/utf8"
)

// Bounds of one request.
const (
	maxBody      = 1 << 20 // bytes
	maxAddresses = 10000   // in one order; the client splits longer ones
	maxText      = 1000    // bytes of a reason or comment
	maxFor       = 100 * 366 * 24 * time.Hour
)

// The bodies of orders as they go over the socket.
type (
	banBody struct {
		Addresses []string `json:"addresses"`
		Seconds   float64  `json:"seconds,omitempty"` // 0 = the ladder's next step
		Forever   bool     `json:"forever,omitempty"`
		Reason    string   `json:"reason,omitempty"`
	}
	unbanBody struct {
		Addresses []string `json:"addresses,omitempty"`
		All       bool     `json:"all,omitempty"`
	}
	neverBody struct {
		Addresses []string `json:"addresses"`
		Comment   string   `json:"comment,omitempty"`
	}
	pauseBody struct {
		Flush bool `json:"flush,omitempty"`
	}
)

// decode reads one JSON object and nothing else.
func decode[T any](r *http.Request) (T, error) {
	var body T
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return body, fmt.Errorf("%w: body: %w", ErrBadRequest, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return body, fmt.Errorf("%w: body: %w", ErrBadRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return body, fmt.Errorf("%w: body: more than one JSON value", ErrBadRequest)
	}
	return body, nil
}

// decodeOrder reads a body and what it orders.
func decodeOrder[B interface{ order() (O, error) }, O any](r *http.Request) (O, error) {
	b, err := decode[B](r)
	if err != nil {
		var none O
		return none, err
	}
	return b.order()
}

// ParsePrefix reads an address or a prefix as people write it: an IPv4 address inside an IPv6 one is taken out, host bits of a
// prefix are cleared. Zones are refused, since PF's tables have none.
func ParsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%w: %q has a zone, which PF's tables do not know", ErrBadRequest, s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%w: %q is neither an address nor a prefix", ErrBadRequest, shorten(s))
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%w: %q reaches beyond the IPv4 addresses that it is about", ErrBadRequest, s)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// FormatPrefix writes a single address bare, everything else as a prefix.
func FormatPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// prefixes reads the addresses of an order.
func prefixes(addresses []string) ([]netip.Prefix, error) {
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%w: no address", ErrBadRequest)
	}
	if len(addresses) > maxAddresses {
		return nil, fmt.Errorf("%w: %d addresses; at most %d at once", ErrBadRequest, len(addresses), maxAddresses)
	}
	out := make([]netip.Prefix, 0, len(addresses))
	var errs []error
	for _, s := range addresses {
		p, err := ParsePrefix(s)
		if err != nil && len(errs) < 20 {
			errs = append(errs, err)
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

// order reads a ban.
func (b banBody) order() (BanOrder, error) {
	ps, err := prefixes(b.Addresses)
	switch {
	case err != nil:
		return BanOrder{}, err
	case b.Forever && b.Seconds != 0:
		return BanOrder{}, fmt.Errorf("%w: for ever and for a time", ErrBadRequest)
	case !(b.Seconds >= 0 && b.Seconds <= maxFor.Seconds()):
		return BanOrder{}, fmt.Errorf("%w: %v seconds, expected 0 to %.0f", ErrBadRequest, b.Seconds, maxFor.Seconds())
	}
	reason, err := sentence(b.Reason)
	return BanOrder{Prefixes: ps, For: time.Duration(b.Seconds * float64(time.Second)), Forever: b.Forever, Reason: reason}, err
}

// order reads an unban.
func (b unbanBody) order() (UnbanOrder, error) {
	if b.All {
		if len(b.Addresses) > 0 {
			return UnbanOrder{}, fmt.Errorf("%w: all, and addresses as well", ErrBadRequest)
		}
		return UnbanOrder{All: true}, nil
	}
	ps, err := prefixes(b.Addresses)
	return UnbanOrder{Prefixes: ps}, err
}

// sentence checks a reason or comment, which will be shown and logged.
func sentence(s string) (string, error) {
	if len(s) > maxText {
		return "", fmt.Errorf("%w: a text of %d bytes, expected at most %d", ErrBadRequest, len(s), maxText)
	}
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%w: a text that is not UTF-8", ErrBadRequest)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return "", fmt.Errorf("%w: a text with control characters", ErrBadRequest)
		}
	}
	return s, nil
}

// banQuery reads the query of a list of bans.
func banQuery(v url.Values) (q BanQuery, err error) {
	if s := v.Get("address"); s != "" {
		q.Prefix, err = ParsePrefix(s)
	}
	q.Table, q.Jail = v.Get("table"), v.Get("jail")
	return q, err
}

// shorten bounds what is repeated of a request in an answer.
func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
