package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pfwarden/internal/control"
)

func newBansCommand(streams stdio) *cobra.Command {
	var table, jail string
	cmd := &cobra.Command{
		Use:   "bans [ADDR]",
		Short: "list the bans in force, with what PF stopped for each",
		Long: "bans lists the bans in force, oldest first; with an address only those that cover it. -o json prints one object per ban\n" +
			"with the keys address, table, jail, proven, since, until (null: for ever), step, reason, packets, bytes, last_hit,\n" +
			"and observed (true) if PF was not told of it, because of observe = true.",
		Example: "  pfwarden bans\n  pfwarden bans --jail sshd\n  pfwarden bans -o json | jq -r 'select(.packets > 1000) | .address'",
		Args:    nArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := control.BanQuery{Table: table, Jail: jail}
			if len(args) > 0 {
				p, err := control.ParsePrefix(args[0])
				if err != nil {
					return err
				}
				q.Prefix = p
			}
			return bans(cmd, streams, q)
		},
	}
	cmd.Flags().StringVar(&table, "table", "", "only those in this `table`")
	cmd.Flags().StringVar(&jail, "jail", "", "only those of this `jail`")
	return cmd
}

func bans(cmd *cobra.Command, streams stdio, q control.BanQuery) error {
	c, err := client(cmd, streams)
	if err != nil {
		return err
	}
	defer c.Close()
	var list []control.Ban
	for b, err := range c.Bans(cmd.Context(), q) {
		if err != nil {
			return err
		}
		if !commonOf(cmd).json() {
			list = append(list, b) // columns need them all
		} else if err := printJSON(streams, b); err != nil {
			return err
		}
	}
	if commonOf(cmd).json() {
		return nil
	}
	p := newPainter(streams.Out)
	printBans(p, streams.human(), list)
	return p.err
}

// printBans writes bans as a table, and their sum.
func printBans(p *painter, h human, list []control.Ban) {
	if len(list) == 0 {
		p.printf("No bans.\n")
		return
	}
	var packets uint64
	rows := make([][]cell, 0, len(list))
	for _, b := range list {
		packets += b.Packets
		rows = append(rows, banRow(h, b))
	}
	shortenLast(p, rows)
	p.table([]string{"ADDRESS", "TABLE", "JAIL", ">STEP", "SINCE", ">LEFT", ">STOPPED", "LAST HIT", "REASON"}, rows)
	switch observed := countObserved(list); observed {
	case 0:
		p.printf("\n%s, %s packets stopped.\n", plural(len(list), "ban"), count(packets))
	case len(list):
		p.printf("\n%s that would be made; pfwarden only observes, PF stops nothing for them.\n", plural(len(list), "ban"))
	default:
		p.printf("\n%s, %s packets stopped; %d of them are only observed.\n", plural(len(list), "ban"), count(packets), observed)
	}
}

func countObserved(list []control.Ban) int {
	n := 0
	for _, b := range list {
		if b.Observed {
			n++
		}
	}
	return n
}

func banRow(h human, b control.Ban) []cell {
	c := yellow
	if b.Proven {
		c = red
	}
	jail, step := b.Jail, ""
	if jail == "" {
		jail = "(by hand)"
	}
	if b.Step > 0 {
		step = count(uint64(b.Step))
	}
	if b.Observed {
		c, b.Table = faint, "would: "+b.Table
	}
	return []cell{
		{b.Address, c}, {b.Table, plain}, {jail, plain}, {step, plain}, {h.date(b.Since), plain}, {h.left(b.Until), plain},
		{count(b.Packets), plain}, {h.ago(b.LastHit), faint}, {b.Reason, faint},
	}
}

// shortenLast cuts the last column so that lines fit the terminal, if there is one.
func shortenLast(p *painter, rows [][]cell) {
	f, ok := p.w.(*os.File)
	if !ok || !isTerminal(f) {
		return
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || len(rows) == 0 {
		return
	}
	last, used := len(rows[0])-1, 0
	for i := range last {
		widest := 0
		for _, r := range rows {
			widest = max(widest, len(r[i].text))
		}
		used += max(widest, 8) + 2
	}
	room := max(width-used, 20)
	for _, r := range rows {
		if text := []rune(r[last].text); len(text) > room {
			r[last].text = string(text[:room-1]) + "…"
		}
	}
}
