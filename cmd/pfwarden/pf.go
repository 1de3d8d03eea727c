package main

import (
	"github.com/spf13/cobra"

	"pfwarden/internal/control"
)

func newPFCommand(streams stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "pf",
		Short: "show our anchor and tables in PF, and whether packets are really being blocked",
		Long: "pf shows what pfctl says about pfwarden's part of PF: whether PF is enabled and calls the anchor, the anchor's rules, its\n" +
			"tables, their addresses and counters, and PF's limits; and it says in words whether packets are really being blocked.",
		Example: "  pfwarden pf\n  pfwarden pf -o json | jq .filtering",
		Args:    nArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd, streams)
			if err != nil {
				return err
			}
			defer c.Close()
			v, err := c.PF(cmd.Context())
			if err != nil {
				return err
			}
			if commonOf(cmd).json() {
				return printJSON(streams, v)
			}
			p := newPainter(streams.Out)
			printPF(p, v)
			return p.err
		},
	}
}

func printPF(p *painter, v control.PFView) {
	c := red
	if v.Filtering {
		c = green
	}
	for _, w := range v.Words {
		p.printf("%s\n", p.paint(c, clean(w)))
	}
	printHealth(p, v.Problems, false)
	printLines(p, "Main rules", v.Main)
	printLines(p, "Anchors", v.Anchors)
	printLines(p, "Rules of anchor "+clean(v.Anchor), v.Rules)
	printTables(p, v.Tables)
	if len(v.Addresses) > 0 {
		p.printf("\n")
		var rows [][]cell
		for _, a := range v.Addresses {
			if a.NoCounters {
				rows = append(rows, plainCells(a.Address, a.Table, "?", "?", "?", "?"))
				continue
			}
			rows = append(rows, plainCells(a.Address, a.Table, count(a.InBlock.Packets), size(a.InBlock.Bytes), count(a.OutBlock.Packets), size(a.OutBlock.Bytes)))
		}
		p.table([]string{"ADDRESS", "TABLE", ">IN", ">BYTES", ">OUT", ">BYTES"}, rows)
	}
	if len(v.Limits) > 0 {
		p.printf("\n")
		var rows [][]cell
		for _, l := range v.Limits {
			rows = append(rows, plainCells(l.Name, count(l.Value)))
		}
		p.table([]string{"LIMIT", ">VALUE"}, rows)
	}
}

// printLines writes lines of PF's under a heading.
func printLines(p *painter, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	p.printf("\n")
	p.heading(heading)
	for _, l := range lines {
		p.printf("  %s\n", clean(l))
	}
}
