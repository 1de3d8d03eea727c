package main

import (
	"github.com/spf13/cobra"

	"pfwarden/internal/control"
)

func newPauseCommand(streams stdio) *cobra.Command {
	var flush bool
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "stop banning but keep watching",
		Long: "pause suspends banning until resume, even across a restart; watching, counting and expiry go on. With --flush the tables\n" +
			"are emptied as well; bans that have not expired come back with resume. Needs root.",
		Example: "  pfwarden pause\n  pfwarden pause --flush",
		Args:    nArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			said := "Banning is paused; what is in the tables stays there.\n"
			if flush {
				said = "Banning is paused, and the tables are empty.\n"
			}
			return order(cmd, streams, said, func(c *control.Client) error { return c.Pause(cmd.Context(), flush) })
		},
	}
	cmd.Flags().BoolVar(&flush, "flush", false, "empty the tables as well")
	return cmd
}

func newResumeCommand(streams stdio) *cobra.Command {
	return &cobra.Command{
		Use:     "resume",
		Short:   "ban again after a pause",
		Long:    "resume ends a pause: banning goes on, and bans that have not expired are put back into the tables. Needs root.",
		Example: "  pfwarden resume",
		Args:    nArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return order(cmd, streams, "Banning goes on.\n", func(c *control.Client) error { return c.Resume(cmd.Context()) })
		},
	}
}

// order has the daemon do something that answers with nothing but success.
func order(cmd *cobra.Command, streams stdio, said string, f func(*control.Client) error) error {
	c, err := client(cmd, streams)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := f(c); err != nil {
		return err
	}
	if commonOf(cmd).json() {
		return printJSON(streams, struct {
			Done bool `json:"done"`
		}{true})
	}
	p := newPainter(streams.Out)
	p.printf("%s", said)
	return p.err
}
