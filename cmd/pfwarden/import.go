package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/capture/logtail"
	"pfwarden/internal/daemon"
	"pfwarden/internal/ledger"
)

func newImportCommand(streams stdio) *cobra.Command {
	var set []string
	var database string
	cmd := &cobra.Command{
		Use:   "import [flags] DIR",
		Short: "translate a fail2ban folder into pfwarden.toml; take over its bans",
		Long: `Read a fail2ban folder and print its jails as sections of pfwarden.toml, for those who move. What pfwarden's own jails cannot
express stands there as a comment. To keep the folder, no import is needed: set fail2ban = "DIR".

With --database, the bans in force, the history and the log positions of fail2ban's database are copied into the ledger,
for the jails of DIR as they are. The daemon must not be running.`,
		Example: "  pfwarden import /etc/fail2ban > pfwarden.toml\n  pfwarden import --database /var/lib/fail2ban/fail2ban.sqlite3 /etc/fail2ban > /dev/null",
		Args:    nArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd, set)
			if err != nil {
				return err
			}
			c.Fail2ban = args[0]
			own := *c
			own.Jails = nil // their names do not matter here
			r, err := daemon.ReadFail2ban(&own, nil)
			if err != nil {
				return usagef("fail2ban folder %s: %w", args[0], err)
			}
			if database != "" {
				store, err := ledger.Open(c.Store.File, ledger.Options{})
				if err != nil {
					return err
				}
				defer store.Close()
				done, err := r.Import(cmd.Context(), database, store, time.Now(), logtail.PositionAt)
				if err != nil {
					return err
				}
				fmt.Fprintf(streams.Err, "taken over: %s in force, %d of the past, positions in %s; %d passed over\n",
					plural(done.Live, "ban"), done.History, plural(done.Logs, "log"), done.Skipped)
				for _, n := range done.Notes {
					fmt.Fprintf(streams.Err, "  %s\n", clean(n))
				}
			}
			_, err = fmt.Fprint(streams.Out, r.TOML())
			return err
		},
	}
	setFlag(cmd, &set)
	cmd.Flags().StringVar(&database, "database", "", "copy bans, history and log positions from this `file`, fail2ban's database")
	return cmd
}
