package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pfwarden/detect"
	"pfwarden/internal/control"
)

func newStatusCommand(streams stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "status [JAIL]",
		Short: "show the state of the daemon: health, sources, jails, tables",
		Long: "status shows the daemon's health, what is read and how far, what each jail saw and did, and what is in the tables. With a\n" +
			"jail it shows that jail and its bans.",
		Example: "  pfwarden status\n  pfwarden status sshd\n  pfwarden status -o json | jq .health",
		Args:    nArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd, streams)
			if err != nil {
				return err
			}
			defer c.Close()
			s, err := c.Status(cmd.Context(), strings.Join(args, ""))
			if err != nil {
				return err
			}
			if commonOf(cmd).json() {
				return printJSON(streams, s)
			}
			p := newPainter(streams.Out)
			h := streams.human()
			h.now = s.Now
			if len(args) > 0 {
				printJail(p, h, s)
			} else {
				printStatus(p, h, s, commonOf(cmd).Verbose)
			}
			return p.err
		},
	}
}

func printStatus(p *painter, h human, s control.Status, verbose bool) {
	p.printf("%s has been running for %s, since %s (process %d, PF by %s)\n",
		p.paint(bold, "pfwarden "+clean(s.Version)), span(s.Now.Sub(s.Started)), h.date(s.Started), s.PID, clean(s.Backend))
	if s.Observe {
		p.printf("%s\n", p.paint(yellow, "Only observing: it decides and reports, and never touches PF."))
	}
	if s.Paused != nil {
		text := fmt.Sprintf("Banning is paused since %s, by %s", h.date(s.Paused.Since), clean(s.Paused.By))
		if s.Paused.Flushed {
			text += "; the tables are empty"
		}
		p.printf("%s\n", p.paint(yellow, text+"."))
	}
	p.printf("\n")
	printHealth(p, s.Health, verbose)
	printSources(p, h, s.Sources)
	printJails(p, s.Jails)
	printTables(p, s.Tables)
	printGuesses(p, h, s.Guesses)
}

// printHealth writes what is not as it should be, or that all is well; verbose names every item.
func printHealth(p *painter, items []control.HealthItem, verbose bool) {
	var rows [][]cell
	bad := 0
	for _, i := range items {
		if i.OK {
			if verbose {
				rows = append(rows, []cell{{"ok", green}, {i.Name, plain}, {i.Text, plain}})
			}
			continue
		}
		bad++
		rows = append(rows, []cell{{"FAULT", red}, {i.Name, plain}, {i.Text, plain}})
		if i.Remedy != "" {
			rows = append(rows, []cell{{}, {}, {"do: " + i.Remedy, yellow}})
		}
	}
	switch {
	case len(items) == 0:
	case bad == 0:
		p.printf("%s\n", p.paint(green, "Everything is as it should be ("+plural(len(items), "check")+")."))
	default:
		p.printf("%s\n", p.paint(red, fmt.Sprintf("%d of %s found a fault:", bad, plural(len(items), "check"))))
	}
	p.table(nil, rows)
}

func printSources(p *painter, h human, sources []control.SourceStatus) {
	if len(sources) == 0 {
		return
	}
	p.printf("\n")
	var rows [][]cell
	for _, s := range sources {
		c := green
		if !s.OK {
			c = red
		}
		rows = append(rows, []cell{
			{s.Name, plain}, {s.Kind, plain}, {s.State, c}, {count(s.Records), plain}, {count(s.Rejected), plain}, {count(s.Dropped), plain},
			{h.ago(s.Last), faint},
		})
	}
	p.table([]string{"SOURCE", "KIND", "STATE", ">RECORDS", ">REJECTED", ">DROPPED", "LAST RECORD"}, rows)
}

func printJails(p *painter, jails []control.JailStatus) {
	if len(jails) == 0 {
		return
	}
	p.printf("\n")
	var rows [][]cell
	for _, j := range jails {
		c := plain
		if j.Bans > 0 {
			c = red
		}
		rows = append(rows, []cell{
			{j.Name, plain}, {fmt.Sprintf("%g in %s", j.Threshold, j.Window), plain}, {count(j.Observations), plain}, {count(j.Verdicts), plain},
			{count(uint64(max(j.Bans, 0))), c}, {count(j.BansTotal), plain},
		})
	}
	p.table([]string{"JAIL", "JUDGES AT", ">OBSERVATIONS", ">VERDICTS", ">BANS", ">BANS SO FAR"}, rows)
}

func printTables(p *painter, tables []control.TableStatus) {
	if len(tables) == 0 {
		return
	}
	p.printf("\n")
	var rows [][]cell
	for _, t := range tables {
		rows = append(rows, plainCells(t.Name, count(uint64(max(t.Addresses, 0))), count(t.Packets), size(t.Bytes)))
	}
	p.table([]string{"TABLE", ">ADDRESSES", ">PACKETS STOPPED", ">BYTES STOPPED"}, rows)
}

func printGuesses(p *painter, h human, guesses []control.Guess) {
	if len(guesses) == 0 {
		return
	}
	const most = 10
	p.printf("\n")
	var rows [][]cell
	for _, g := range guesses[:min(len(guesses), most)] {
		what := "user " + g.User
		if g.User == "" {
			what = "from " + g.Prefix
		}
		addresses := count(uint64(max(g.Addresses, 0)))
		if g.Addresses >= detect.GuessExact {
			addresses = "~" + addresses
		}
		rows = append(rows, []cell{{what, plain}, {addresses, plain}, {count(uint64(max(g.Failures, 0))), plain}, {h.ago(&g.Last), faint}})
	}
	if n := len(guesses) - most; n > 0 {
		rows = append(rows, []cell{{fmt.Sprintf("… and %d more", n), faint}})
	}
	p.table([]string{"DISTRIBUTED GUESSING", ">ADDRESSES", ">FAILURES", "LAST"}, rows)
}

func printJail(p *painter, h human, s control.Status) {
	for _, j := range s.Jails {
		p.heading("jail " + clean(j.Name))
		rows := [][]cell{
			plainCells("judges at", fmt.Sprintf("%g in %s", j.Threshold, j.Window)),
			plainCells("filter", j.Filter),
			plainCells("logs", strings.Join(j.Logs, " ")),
			plainCells("observations", count(j.Observations)),
			plainCells("verdicts", count(j.Verdicts)),
			plainCells("bans", fmt.Sprintf("%s now, %s so far", count(uint64(max(j.Bans, 0))), count(j.BansTotal))),
		}
		if j.Filter == "" {
			rows = append(rows[:1], rows[2:]...)
		}
		p.table(nil, rows)
		p.printf("\n")
	}
	printBans(p, h, s.Bans)
}
