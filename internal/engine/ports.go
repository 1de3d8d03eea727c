package engine

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"pfwarden/internal/config"
	"pfwarden/pfctl"
)

var plainTable = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// tableNameMax is how long the name of a table of PF's may be.
const tableNameMax = 31

// portTable gives the table of a jail that asks for ports: its proven bans block those ports alone. ok is false for a jail that blocks all
// of them, and where the administrator's own rules (rules; "" = the default ones) do not name the table, so that it would block nothing.
func portTable(j config.Jail, rules string) (t pfctl.PortTable, ok bool) {
	if len(j.Ports) == 0 {
		return t, false
	}
	name := "ports-" + j.Name
	if len(name) > tableNameMax || !plainTable.MatchString(name) {
		h := fnv.New64a()
		h.Write([]byte(j.Name))
		name = fmt.Sprintf("ports-%016x", h.Sum64())
	}
	if rules != "" && !strings.Contains(rules, "<"+name+">") {
		return t, false
	}
	return pfctl.PortTable{Name: name, Ports: j.Ports}, true
}
