package daemon

import (
	"strings"
	"testing"

	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/fail2ban"
)

// TestMovedPorts: a reload that gives a jail other ports is refused by jail and line.
func TestMovedPorts(t *testing.T) {
	read := func(text string) (*config.Config, *engine.Plan) {
		t.Helper()
		c, err := config.Parse("t.toml", []byte(text), config.Options{OS: "openbsd"})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := engine.NewPlan(c, engine.PlanOptions{Filters: builtin.Lookup, Jails: ownJails(c, nil, nil)})
		if err != nil {
			t.Fatal(err)
		}
		return c, plan
	}
	const logs = "logs = [\"/var/log/x\"]\n"
	old, before := read("[jail.sshd]\n" + logs + "ports = [22]\n[jail.other]\nfailregex = ['^x <HOST>$']\n" + logs)
	for _, c := range []struct{ name, text, want string }{
		{"as it was", "[jail.other]\nfailregex = ['^x <HOST>$']\n" + logs + "[jail.sshd]\nports = [22]\n" + logs, ""},
		{"one more", "[jail.sshd]\n" + logs + "ports = [22, 2222]\n", "t.toml:3: jail.sshd.ports: [22, 2222] instead of [22]: "},
		{"none", "[jail.sshd]\n" + logs, "t.toml:1: jail.sshd.ports: [] instead of [22]: "},
		{"of another jail", "[jail.sshd]\n" + logs + "ports = [22]\n[jail.other]\nfailregex = ['^x <HOST>$']\n" + logs + "ports = [80]\n", "t.toml:7: jail.other.ports: [80] instead of []: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			fresh, after := read(c.text)
			err := movedPorts(old, fresh, before, after)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(err.Error(), "restart it") {
				t.Errorf("got %v, want %s…", err, c.want)
			}
		})
	}
}

// TestMovedAnchors: a reload by which fail2ban's actions fill other anchors is refused by anchor and jail.
func TestMovedAnchors(t *testing.T) {
	running := func(anchors ...fail2ban.Anchor) *fail2ban.Running {
		r := &fail2ban.Running{Setup: &fail2ban.Setup{Dir: "/etc/fail2ban"}, Anchors: anchors}
		for _, a := range anchors {
			r.Jails = append(r.Jails, fail2ban.RunningJail{Engine: engine.Jail{Name: "j-" + a.Path}, PF: &fail2ban.PFAction{Anchor: a.Path}})
		}
		return r
	}
	table := func(names ...string) (list []fail2ban.Table) {
		for _, n := range names {
			list = append(list, fail2ban.Table{Name: n, Part: n})
		}
		return list
	}
	a, b := fail2ban.Anchor{Path: "a", Tables: table("x")}, fail2ban.Anchor{Path: "b", Tables: table("y")}
	for _, c := range []struct {
		name       string
		old, fresh *fail2ban.Running
		want       string
	}{
		{"the same", running(a, b), running(a, b), ""},
		{"none", nil, nil, ""},
		{"a new one", running(a), running(a, b), `anchor "b" of PF, which actions of jail j-b in /etc/fail2ban fill, was not filled before: `},
		{"none any more", running(a), nil, `anchor "a" of PF, which actions of jail j-a in /etc/fail2ban fill, is not filled any more: `},
		{"another table", running(a), running(fail2ban.Anchor{Path: "a", Tables: table("x", "z")}), `anchor "a" of PF, which actions of jail j-a in /etc/fail2ban fill, has the tables x, z instead of x: `},
		{"other rules", running(a), running(fail2ban.Anchor{Path: "a", Tables: table("x"), Rules: "block"}), `anchor "a" of PF, which actions of jail j-a in /etc/fail2ban fill, gets other rules: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := movedAnchors(c.old, c.fresh)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v, want %s…", err, c.want)
			}
		})
	}
}
