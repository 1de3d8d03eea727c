package warden

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/detect"
)

func TestManual(t *testing.T) {
	h := newHarness(t, Config{})
	h.SetNever(t0, "config", []netip.Prefix{pfx("198.51.100.0/24")})
	for _, bad := range []string{"198.51.100.9", "127.0.0.1", "10.0.0.0/7", "0.0.0.0/0", "::/0", "198.51.0.0/16"} {
		if _, _, err := h.Ban(t0, pfx(bad), 0, "", "root"); !errors.Is(err, ErrRefused) {
			t.Errorf("ban %s: %v, want it refused", bad, err)
		}
	}
	if _, _, err := h.Ban(t0, pfx("192.0.2.7"), time.Hour, "rude", "root"); err != nil {
		t.Fatal(err)
	}
	h.Judge(t0, proven(t0, "2001:db8::/64"))
	h.Judge(t0, spoofable(t0, "192.0.2.8"))
	h.table("banned 192.0.2.7", "banned 2001:db8::/64", "suspects 192.0.2.8")
	ended, notices, err := h.Unban(t0, pfx("2001:db8::1"), "root")
	if err != nil || len(ended) != 1 || ended[0].EndWhy != "manual" || ended[0].EndedBy != "root" {
		t.Errorf("unban inside a /64: %+v, %v", ended, err)
	}
	if last := notices[len(notices)-1]; last.Kind != detect.Forgiven || last.Source != pfx("2001:db8::1") || last.Jail != "" {
		t.Errorf("notices %+v, want the suspicion cleared", notices)
	}
	if ended, notices, _ = h.Unban(t0, pfx("192.0.2.99"), "root"); len(ended) != 0 || len(notices) != 1 {
		t.Errorf("unban of one not banned: %+v %+v, want the suspicion cleared all the same", ended, notices)
	}
	h.table("banned 192.0.2.7", "suspects 192.0.2.8")
	if ended, _ := h.UnbanAll(t0, "root"); len(ended) != 2 {
		t.Errorf("unban --all: %+v", ended)
	}
	h.table()
	h.Judge(t0, proven(t0, "2001:db8::/64"))
	if b := h.Live()[0]; b.Step != 1 {
		t.Errorf("an administrator's unban must wipe the slate: step %d", b.Step)
	}
}

func TestNever(t *testing.T) {
	h := newHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.Judge(t0, proven(t0, "192.0.2.130"))
	h.table("banned 192.0.2.130", "banned 192.0.2.7")
	n, err := h.AddNever(t0, pfx("192.0.2.0/25"), "root", "office")
	if err != nil || len(n) != 1 || n[0].Kind != detect.Forgiven {
		t.Errorf("notices %+v, %v", n, err)
	}
	h.table("banned 192.0.2.130")
	h.never = &NeverList{}
	h.restart(t0)
	if n := h.Judge(t0, proven(t0, "192.0.2.7")); len(n) != 0 {
		t.Errorf("the entry was lost by the restart: %+v", n)
	}
	if err := h.RemoveNever(t0, pfx("192.0.2.0/24")); err == nil {
		t.Error("removing an entry that is not there must be an error")
	}
	h.SetNever(t0, "config", []netip.Prefix{pfx("198.51.100.1")})
	if err := h.RemoveNever(t0, pfx("198.51.100.1")); err == nil || !strings.Contains(err.Error(), "config") {
		t.Errorf("removing a configured entry: %v, want to be told where it is", err)
	}
	if err := h.RemoveNever(t0, pfx("192.0.2.0/25")); err != nil {
		t.Error(err)
	}
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.table("banned 192.0.2.130", "banned 192.0.2.7")
	h.SetNever(t0, "name friend.example.org", []netip.Prefix{pfx("192.0.2.130")})
	h.table("banned 192.0.2.7")
	h.SetNever(t0, "name friend.example.org", nil)
	if h.never.Contains(netip.MustParseAddr("192.0.2.130")) {
		t.Error("an origin's old entries must go")
	}
}

func TestPause(t *testing.T) {
	h := newHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.table("banned 192.0.2.7")
	h.Pause(t0, false, "root")
	if n := h.Judge(t0, proven(t0, "192.0.2.8")); len(n) != 0 {
		t.Errorf("banned while paused: %+v", n)
	}
	h.table("banned 192.0.2.7")
	h.Pause(t0, true, "root")
	h.table()
	h.restart(t0)
	if d := h.Desired(); len(d) != 0 || !h.Health().Paused.Paused {
		t.Errorf("a restart must stay paused and flushed: %+v", d)
	}
	h.Resume(t0, "root")
	h.table("banned 192.0.2.7")
}
