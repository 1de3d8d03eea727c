package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pfwarden/internal/ledger"
)

const (
	maxOrigins    = 500              // addresses that are asked about in one answer
	originsTime   = 10 * time.Second // for all of them
	originsAtOnce = 16
)

// txtLookup asks the name service for TXT records.
type txtLookup func(ctx context.Context, name string) ([]string, error)

// origin is where an address comes from: its network's number, its country and its registry.
type origin struct{ asn, country, registry string }

// origins are the rows of the flavor "cymru": the origin of each banned address, as Team Cymru's name service tells it
// (https://www.team-cymru.com/ip-asn-mapping). Where the service cannot be asked, "error" stands.
func (q *question) origins(bans []ledger.Ban) []any {
	ctx, cancel := context.WithTimeout(q.ctx, originsTime)
	defer cancel()
	var asns, countries, registries []any
	for _, o := range lookUpOrigins(ctx, net.DefaultResolver.LookupTXT, bans) {
		asns, countries, registries = append(asns, o.asn), append(countries, o.country), append(registries, o.registry)
	}
	list := func(l []any) []any { return append([]any{}, l...) }
	return []any{row("Banned ASN list", list(asns)), row("Banned Country list", list(countries)), row("Banned RIR list", list(registries))}
}

// lookUpOrigins asks about every banned address, several at once. Bans of names have no origin.
func lookUpOrigins(ctx context.Context, ask txtLookup, bans []ledger.Ban) []origin {
	bans = slices.DeleteFunc(slices.Clone(bans), func(b ledger.Ban) bool { return !b.Prefix.IsValid() })
	out := make([]origin, min(len(bans), maxOrigins))
	free := make(chan struct{}, originsAtOnce)
	for i := range out {
		free <- struct{}{}
		go func() {
			defer func() { <-free }()
			out[i] = lookUpOrigin(ctx, ask, bans[i].Prefix.Addr())
		}()
	}
	for range cap(free) { // until all have ended
		free <- struct{}{}
	}
	return out
}

func lookUpOrigin(ctx context.Context, ask txtLookup, a netip.Addr) origin {
	records, err := ask(ctx, originName(a))
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return origin{"nxdomain", "nxdomain", "nxdomain"}
	}
	var columns [3][]string
	for _, r := range records {
		fields := strings.Split(r, "|") // number | network | country | registry | date
		if len(fields) != 5 {
			err = errors.New("unexpected answer")
			break
		}
		for i, at := range [3]int{0, 2, 3} {
			text := strings.Trim(fields[at], `'" `)
			if text == "" {
				text = "unknown"
			}
			if !slices.Contains(columns[i], text) {
				columns[i] = append(columns[i], text)
			}
		}
	}
	if err != nil || len(records) == 0 {
		return origin{"error", "error", "error"}
	}
	for i := range columns {
		slices.Sort(columns[i])
	}
	return origin{strings.Join(columns[0], ", "), strings.Join(columns[1], ", "), strings.Join(columns[2], ", ")}
}

// originName is the name under which the service tells of an address.
func originName(a netip.Addr) string {
	var b strings.Builder
	bytes := a.Unmap().AsSlice()
	for i := len(bytes) - 1; i >= 0; i-- {
		if len(bytes) == net.IPv4len {
			b.WriteString(strconv.Itoa(int(bytes[i])) + ".")
			continue
		}
		const hex = "0123456789abcdef"
		b.WriteByte(hex[bytes[i]&15])
		b.WriteByte('.')
		b.WriteByte(hex[bytes[i]>>4])
		b.WriteByte('.')
	}
	if len(bytes) == net.IPv4len {
		return b.String() + "origin.asn.cymru.com"
	}
	return b.String() + "origin6.asn.cymru.com"
}
