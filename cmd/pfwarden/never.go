package main

import (
	"strings"

	"github.com/spf13/cobra"

	"pfwarden/internal/control"
)

func newNeverCommand(streams stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "never",
		Short: "show or change the list of addresses that are never banned",
		Long: "never shows and changes the never-list: addresses that are never banned, not even as part of a wider prefix. What is\n" +
			"added here survives restarts; entries that come from the configuration or from the system are changed there.",
		Example: "  pfwarden never list\n  pfwarden never add 192.0.2.7\n  pfwarden never remove 192.0.2.7",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("never: no verb %q; expected list, add or remove", args[0])
			}
			return usagef("never: expected list, add or remove (see pfwarden never --help)")
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "show the never-list, and where each entry comes from", Args: nArgs(cobra.NoArgs),
		Example: "  pfwarden never list\n  pfwarden never list -o json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return neverList(cmd, streams) },
	}
	var comment string
	add := &cobra.Command{
		Use: "add ADDR...", Short: "put addresses or prefixes on the never-list permanently, and end their bans", Args: nArgs(cobra.MinimumNArgs(1)),
		Example: "  pfwarden never add 192.0.2.7 2001:db8:1::/48\n  pfwarden never add --comment 'monitoring' 198.51.100.9",
		RunE: func(cmd *cobra.Command, args []string) error {
			return neverChange(cmd, streams, args, "never to be banned", func(c *control.Client, o control.BanOrder) (control.BanResult, error) {
				return c.NeverAdd(cmd.Context(), o.Prefixes, comment)
			})
		},
	}
	add.Flags().StringVar(&comment, "comment", "", "`text` to keep in the ledger")
	remove := &cobra.Command{
		Use: "remove ADDR...", Short: "take addresses or prefixes off the never-list", Args: nArgs(cobra.MinimumNArgs(1)),
		Example: "  pfwarden never remove 192.0.2.7",
		RunE: func(cmd *cobra.Command, args []string) error {
			return neverChange(cmd, streams, args, "off the never-list", func(c *control.Client, o control.BanOrder) (control.BanResult, error) {
				return c.NeverRemove(cmd.Context(), o.Prefixes)
			})
		},
	}
	cmd.AddCommand(list, add, remove)
	return cmd
}

func neverList(cmd *cobra.Command, streams stdio) error {
	c, err := client(cmd, streams)
	if err != nil {
		return err
	}
	defer c.Close()
	entries, err := c.Never(cmd.Context())
	if err != nil {
		return err
	}
	p := newPainter(streams.Out)
	var rows [][]cell
	for _, e := range entries {
		if !commonOf(cmd).json() {
			rows = append(rows, []cell{{e.Address, green}, {strings.Join(e.Origins, ", "), plain}})
		} else if err := printJSON(streams, e); err != nil {
			return err
		}
	}
	switch {
	case commonOf(cmd).json():
	case len(rows) == 0:
		p.printf("The never-list is empty.\n")
	default:
		p.table([]string{"ADDRESS", "FROM"}, rows)
	}
	return p.err
}

func neverChange(cmd *cobra.Command, streams stdio, args []string, done string, change func(*control.Client, control.BanOrder) (control.BanResult, error)) error {
	ps, err := prefixArgs(args)
	if err != nil {
		return err
	}
	c, err := client(cmd, streams)
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := change(c, control.BanOrder{Prefixes: ps})
	if err != nil {
		return err
	}
	no := make(map[string]bool)
	for _, f := range r.Refused {
		no[f.Address] = true
	}
	p := newPainter(streams.Out)
	for _, x := range ps {
		if a := control.FormatPrefix(x); !no[a] && !commonOf(cmd).json() {
			p.printf("%s %s\n", p.paint(green, a), done)
		}
	}
	if p.err != nil {
		return p.err
	}
	return printResult(cmd, streams, r, func(p *painter, b control.Ban) {
		p.printf("unbanned %s from table %s\n", p.paint(green, clean(b.Address)), clean(b.Table))
	})
}
