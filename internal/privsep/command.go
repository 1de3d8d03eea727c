package privsep

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pfwarden/pfctl"
)

// requestOf translates the driver's runs, whose shapes pfctl/README.md lists, and refuses all others.
func (c *Client) requestOf(command pfctl.Command) (*request, error) {
	args := command.Args
	r := &request{}
	if len(args) > 2 && args[0] == "-a" {
		r.anchor, args = args[1], args[2:]
	}
	if len(args) > 2 && args[0] == "-t" {
		r.table, args = args[1], args[2:]
	}
	if len(r.anchor) > maxName || len(r.table) > maxName {
		return nil, refused(command)
	}
	shape := strings.Join(args, " ")
	named := map[bool]string{true: "T ", false: ""}[r.table != ""]
	switch named + shape {
	case "-f -", "-nf -":
		return c.rulesRequest(r, command)
	case "T -T add -f -", "T -T delete -f -", "T -T replace -f -":
		r.kind = kindTable
		r.way = map[string]byte{"add": tableAdd, "delete": tableDelete, "replace": tableReplace}[args[1]]
		var err error
		if r.addresses, err = parseAddresses(command.Stdin, r.way == tableDelete); err != nil {
			return nil, err
		}
		return r, nil
	case "T -T flush":
		r.kind, r.way = kindTable, tableFlush
		return r, nil
	}
	if len(args) > 0 && args[0] == "-k" && r.anchor == "" && r.table == "" {
		return killRequest(r, command)
	}
	own, other := map[string]byte{
		"-s info": readInfo, "-s memory": readMemory, "-s rules": readMainRules, "-s states": readStates, "-v -s Anchors": readAnchors,
	}, map[string]byte{
		"-s rules": readAnchorCall, "-v -s rules": readRules, "-v -s Tables": readTables, "-vv -s Tables": readTablesMore,
		"T -T show": readShow, "T -v -T show": readShowMore, "T -vv -s Tables -T show": readCounters,
	}
	known := other
	if _, main := own[named+shape]; r.anchor == "" && main {
		known = own
	}
	way, ok := known[named+shape]
	if !ok || command.Stdin != nil {
		return nil, refused(command)
	}
	r.kind, r.way = kindRead, way
	return r, nil
}

func refused(c pfctl.Command) error {
	return fmt.Errorf("pfctl %.200q: %w: none of the requests that it knows", c.Args, ErrRefused)
}

// rulesRequest recognises the text to load: the privileged process has its own.
func (c *Client) rulesRequest(r *request, command pfctl.Command) (*request, error) {
	i := slices.Index(c.rules[r.anchor], string(command.Stdin))
	if i < 0 || r.table != "" {
		return nil, fmt.Errorf("anchor %q: %w: the rules are not those of the configuration", r.anchor, ErrRefused)
	}
	r.kind, r.way, r.alternate = kindAnchor, anchorLoad, i > 0
	if slices.Contains(command.Args, "-nf") {
		r.way = anchorCheck
	}
	return r, nil
}

func killRequest(r *request, command pfctl.Command) (*request, error) {
	args := command.Args
	text := args[len(args)-1]
	p, err := parseAddress(text)
	if err != nil {
		return nil, err
	}
	a := address{Prefix: p}
	for _, towards := range []bool{false, true} {
		if slices.Equal(args, killArgs(a, towards)) {
			r.kind, r.towards, r.addresses = kindKill, towards, []address{a}
			return r, nil
		}
	}
	return nil, refused(command)
}

func parseAddresses(text []byte, negation bool) (list []address, err error) {
	for line := range bytes.Lines(text) {
		s := strings.TrimSuffix(string(line), "\n")
		s, negated := strings.CutPrefix(s, "!")
		p, err := parseAddress(s)
		if err != nil {
			return nil, err
		}
		if negated && !negation || len(list) == maxAddresses {
			return nil, fmt.Errorf("%w: what a table request may not hold: %.60q", ErrRefused, s)
		}
		list = append(list, address{p, negated})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: a table request without addresses", ErrRefused)
	}
	return list, nil
}

// parseAddress reads an address or prefix in canonical text.
func parseAddress(s string) (netip.Prefix, error) {
	var p netip.Prefix
	var err error
	if strings.Contains(s, "/") {
		p, err = netip.ParsePrefix(s)
	} else if a, aerr := netip.ParseAddr(s); aerr == nil {
		p = netip.PrefixFrom(a, a.BitLen())
	} else {
		err = aerr
	}
	if err != nil {
		return p, fmt.Errorf("%w: %.60q is no address", ErrRefused, s)
	}
	if p.Masked() != p || p.Addr().Is4In6() || p.Addr().Zone() != "" {
		return p, fmt.Errorf("%w: %.60q is not canonical", ErrRefused, s)
	}
	return p, nil
}
