package hooks

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pfwarden/internal/fail2ban"
	"pfwarden/internal/ledger"
	"pfwarden/internal/warden"
)

// TestReload has an action with actionreload keep its bans over a change of its options; one without is stopped and started.
func TestReload(t *testing.T) {
	t.Parallel()
	s := &spy{}
	commands := func(port string) map[string]string {
		return map[string]string{"actionstart": "start " + port, "actionstop": "stop " + port, "actionban": "ban " + port + " <ip>", "actionunban": "unban <ip>", "actionreload": "reload " + port}
	}
	h := runHooks(t, Options{Shell: s.run}, testAction("x", commands("22"), nil))
	h.Start(nil)
	e := banEvent(warden.EventBan, "192.0.2.1")
	h.Event(e)
	idle(t, h)
	update := func(a fail2ban.Action) {
		t.Helper()
		h.Update([]Jail{{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{a}}}, []ledger.Ban{e.Ban})
		idle(t, h)
	}
	update(testAction("x", commands("22"), nil))
	update(testAction("x", commands("80"), nil))
	h.Event(banEvent(warden.EventBan, "192.0.2.2"))
	idle(t, h)
	h.Event(banEvent(warden.EventUnban, "192.0.2.1"))
	idle(t, h)
	want := []string{"start 22", "ban 22 192.0.2.1", "reload 22", "reload 80", "ban 80 192.0.2.2", "unban 192.0.2.1"}
	if d := cmp.Diff(want, s.all()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestReloadOfDemanded changes an action that was to be started on demand, and was not yet, into one that is started at once.
func TestReloadOfDemanded(t *testing.T) {
	t.Parallel()
	s := &spy{}
	commands := map[string]string{"actionstart": "start", "actionban": "ban <ip>", "actionreload": "reload", "actionstart_on_demand": "true"}
	h := runHooks(t, Options{Shell: s.run}, testAction("x", commands, nil))
	h.Start(nil)
	now := map[string]string{"actionstart": "start", "actionban": "ban <ip>", "actionreload": "reload", "actionstart_on_demand": "false"}
	h.Update([]Jail{{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{testAction("x", now, nil)}}}, nil)
	h.Event(banEvent(warden.EventBan, "192.0.2.1"))
	idle(t, h)
	if d := cmp.Diff([]string{"start", "ban 192.0.2.1"}, s.all()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
