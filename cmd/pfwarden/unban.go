package main

import (
	"github.com/spf13/cobra"

	"pfwarden/internal/control"
)

func newUnbanCommand(streams stdio) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "unban ADDR...|--all",
		Short: "end bans, and clear suspicion",
		Long: "unban ends every ban that covers one of the addresses or prefixes or lies inside it, in every jail, and clears their\n" +
			"suspicion and their steps on the ladder. Needs root.",
		Example: "  pfwarden unban 192.0.2.7\n  pfwarden unban 198.51.100.0/24\n  pfwarden unban --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return usagef("unban: --all and addresses; expected one of them")
			case !all && len(args) == 0:
				return usagef("unban: expected addresses, or --all (see %s --help)", cmd.CommandPath())
			}
			ps, err := prefixArgs(args)
			if err != nil {
				return err
			}
			return unban(cmd, streams, control.UnbanOrder{Prefixes: ps, All: all})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "end all bans")
	return cmd
}

func unban(cmd *cobra.Command, streams stdio, o control.UnbanOrder) error {
	c, err := client(cmd, streams)
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := c.Unban(cmd.Context(), o)
	if err != nil {
		return err
	}
	if err := printResult(cmd, streams, r, func(p *painter, b control.Ban) {
		if b.Observed {
			p.printf("%s would not be in table %s any more; pfwarden only observes\n", p.paint(green, clean(b.Address)), clean(b.Table))
			return
		}
		p.printf("unbanned %s from table %s; %s packets were stopped\n", p.paint(green, clean(b.Address)), clean(b.Table), count(b.Packets))
	}); err != nil {
		return err
	}
	p := newPainter(streams.Out)
	if len(r.Bans) == 0 && !commonOf(cmd).json() {
		p.printf("No ban was in force; suspicion and steps are cleared all the same.\n")
	}
	return p.err
}
