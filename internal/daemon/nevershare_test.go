package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/internal/screen"
	"pfwarden/internal/warden"
)

// TestNeverShare: each entry is told once, what an administrator wrote to be kept and what names came to for a while, and all of it again each
// hour. What got no answer is told again; what the privileged process does not keep is said once.
func TestNeverShare(t *testing.T) {
	var calls, untold []string
	var answer error
	now := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	s := &neverShare{
		list: new(warden.NeverList), log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now },
		guard: func(list []netip.Prefix, awhile bool) (left []netip.Prefix, err error) {
			text := "kept"
			if awhile {
				text = "awhile"
			}
			for _, p := range list {
				text += " " + p.Addr().String()
				if slices.Contains(untold, p.Addr().String()) {
					left = append(left, p)
				}
			}
			calls = append(calls, text)
			return left, answer
		},
	}
	set := func(origin string, list ...string) {
		var all []netip.Prefix
		for _, a := range list {
			all = append(all, netip.PrefixFrom(netip.MustParseAddr(a), netip.MustParseAddr(a).BitLen()))
		}
		s.list.Set(origin, all)
	}
	tell := func(when string, want ...string) {
		t.Helper()
		calls = nil
		s.tell()
		if diff := cmp.Diff(want, calls); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		now = now.Add(time.Minute)
	}
	set("config", "203.0.113.1")
	set("file /etc/never", "203.0.113.2")
	set(warden.OriginRuntime, "203.0.113.3")
	set(screen.OriginOwn, "203.0.113.4")
	set("name gw.example.org", "203.0.113.3", "203.0.113.5")
	tell("the first time", "kept 203.0.113.1 203.0.113.2 203.0.113.3", "awhile 203.0.113.4 203.0.113.5")
	tell("nothing is new")
	set("name gw.example.org", "203.0.113.6")
	tell("a name has moved", "awhile 203.0.113.6")
	set(warden.OriginRuntime, "203.0.113.6")
	tell("an administrator adds what a name had", "kept 203.0.113.6")

	untold, answer = []string{"203.0.113.8"}, errors.New("the socket is closed")
	set("name gw.example.org", "203.0.113.7", "203.0.113.8")
	tell("no answer for the second", "awhile 203.0.113.7 203.0.113.8")
	for range 3 {
		tell("still none", "awhile 203.0.113.8")
	}
	untold, answer = nil, errors.New("1 entries are not guarded")
	tell("an answer", "awhile 203.0.113.8")
	tell("which is final")
	answer = nil
	set("name gw.example.org")
	set(screen.OriginOwn)
	tell("all is gone that names came to")
	now = now.Add(time.Hour)
	answer = errors.New("1 entries are not guarded")
	for range 3 {
		tell("an hour later", "kept 203.0.113.1 203.0.113.2 203.0.113.6", "awhile")
		tell("a minute later")
		now = now.Add(time.Hour)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 3 { // no answer, not kept, and not kept in either of both requests
		t.Errorf("%d lines are said:\n%s", n, log.String())
	}
}
