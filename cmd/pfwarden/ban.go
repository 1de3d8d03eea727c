package main

import (
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
)

func newBanCommand(streams stdio) *cobra.Command {
	var length, reason string
	cmd := &cobra.Command{
		Use:   "ban ADDR...",
		Short: "ban addresses or prefixes by hand",
		Long: "ban puts addresses or prefixes into the table of the proven attackers and kills their states. A ban in force is\n" +
			"lengthened, never shortened. An address on the never-list is refused, whoever asks. Needs root.",
		Example: "  pfwarden ban 192.0.2.7\n  pfwarden ban --for 7d --reason 'ticket 4711' 192.0.2.7 2001:db8::/64\n  pfwarden ban --for forever 198.51.100.0/24",
		Args:    nArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := control.BanOrder{Reason: reason}
			var err error
			if o.Prefixes, err = prefixArgs(args); err != nil {
				return err
			}
			if o.For, o.Forever, err = banLength(length); err != nil {
				return err
			}
			return ban(cmd, streams, o)
		},
	}
	cmd.Flags().StringVar(&length, "for", "", "`duration` of the ban: 10m, 7d, 1d12h, or forever (default: the next step of the ladder)")
	cmd.Flags().StringVar(&reason, "reason", "", "`text` to keep in the ledger")
	return cmd
}

// banLength reads --for.
func banLength(s string) (d time.Duration, forever bool, err error) {
	switch s {
	case "":
		return 0, false, nil
	case "forever":
		return 0, true, nil
	}
	d, err = config.ParseDuration(s)
	if err == nil && d < time.Second {
		return 0, false, usagef("--for %s: expected at least 1s", s)
	}
	if err != nil {
		return 0, false, usagef("--for: %w", err)
	}
	return d, false, nil
}

func prefixArgs(args []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, len(args))
	for i, a := range args {
		p, err := control.ParsePrefix(a)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

func ban(cmd *cobra.Command, streams stdio, o control.BanOrder) error {
	c, err := client(cmd, streams)
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := c.Ban(cmd.Context(), o)
	if err != nil {
		return err
	}
	h := streams.human()
	return printResult(cmd, streams, r, func(p *painter, b control.Ban) {
		until := "for ever"
		if b.Until != nil {
			left := b.Until.Sub(h.now)
			if whole := b.Until.Sub(b.Since); whole-left < 5*time.Second { // made just now
				left = whole
			}
			until = "for " + span(left) + ", until " + h.date(*b.Until)
		}
		if b.Observed {
			p.printf("would ban %s in table %s %s; pfwarden only observes, nothing was done\n", p.paint(yellow, clean(b.Address)), clean(b.Table), until)
			return
		}
		p.printf("banned %s in table %s %s\n", p.paint(red, clean(b.Address)), clean(b.Table), until)
	})
}
