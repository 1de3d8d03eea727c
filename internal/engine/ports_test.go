package engine

import (
	"strings"
	"testing"

	"pfwarden/internal/config"
	"pfwarden/pfctl"
)

func TestPortTable(t *testing.T) {
	long := strings.Repeat("x", 40)
	for _, c := range []struct {
		name, jail, rules string
		ports             []uint16
		want              string // "" = none
	}{
		{name: "all ports", jail: "sshd"},
		{name: "one port", jail: "sshd", ports: []uint16{22}, want: "ports-sshd"},
		{name: "own rules that do not know it", jail: "sshd", ports: []uint16{22}, rules: "block from <fail2ban>"},
		{name: "own rules that name it", jail: "sshd", ports: []uint16{22}, rules: "block from <ports-sshd>", want: "ports-sshd"},
		{name: "a long name", jail: long, ports: []uint16{22}, want: "ports-cb6799335fb737c5"},
		{name: "a strange name", jail: "a b", ports: []uint16{22}, want: "ports-e63f991904833892"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := portTable(config.Jail{Name: c.jail, Ports: c.ports}, c.rules)
			if got.Name != c.want || ok != (c.want != "") {
				t.Fatalf("table %q (%v), want %q", got.Name, ok, c.want)
			}
			if !ok || c.rules != "" {
				return
			}
			cfg := pfctl.Config{Anchor: "pfwarden", PortTables: []pfctl.PortTable{got}}
			if err := cfg.Validate(); err != nil {
				t.Error(err)
			}
			if rule := "block drop log quick proto tcp from <" + c.want + "> to any port { 22 }\n"; !strings.Contains(cfg.RulesText(true), rule) {
				t.Errorf("no rule %q in\n%s", rule, cfg.RulesText(true))
			}
		})
	}
}
