package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/internal/control"
	"pfwarden/internal/daemon"
)

func newExplainCommand(streams stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "explain ADDR",
		Short: "tell all that is known about an address, and why it is banned or not",
		Long: "explain tells the story of an address: every observation that was kept, each jail's share of the suspicion, the gates\n" +
			"that were asked and what they answered, the verdict, its bans, and what PF stopped for them. A prefix, as bans names\n" +
			"it, may stand for the address. Where no daemon runs, its ledger tells, suspicion as of the last snapshot.",
		Example: "  pfwarden explain 192.0.2.7\n  pfwarden explain 2001:db8:0:1::/64 -o json",
		Args:    nArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := control.ParsePrefix(args[0])
			if err != nil {
				return err
			}
			c, err := client(cmd, streams)
			if err != nil {
				return err
			}
			defer c.Close()
			e, err := c.Explain(cmd.Context(), a)
			if errors.Is(err, control.ErrNotRunning) && commonOf(cmd).Socket == "" {
				e, err = recall(cmd, streams, a, err)
			}
			if err != nil {
				return err
			}
			if commonOf(cmd).json() {
				return printJSON(streams, e)
			}
			p := newPainter(streams.Out)
			h := streams.human()
			h.now = e.Now
			printExplanation(p, h, e)
			return p.err
		},
	}
}

// recall tells from the ledger what the daemon would, since none runs, which is what cause says. Where there is no ledger that may be read, the cause
// stays the error.
func recall(cmd *cobra.Command, streams stdio, p netip.Prefix, cause error) (control.Explanation, error) {
	c, err := loadConfig(cmd, nil)
	if err != nil || c.Store.File == "" {
		return control.Explanation{}, cause
	}
	now := time.Now
	if streams.Now != nil {
		now = streams.Now
	}
	var e control.Explanation
	if err = becomeOwner(c.Store.File); err == nil {
		e, err = daemon.Recall(cmd.Context(), c, p, now())
	}
	switch {
	case err == nil:
		return e, nil
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		return e, cause
	}
	return e, fmt.Errorf("%w; and its ledger does not tell either: %w", cause, err)
}

// becomeOwner gives root's rights up for those of a file's owner, since an unprivileged worker may have written anything into its ledger.
func becomeOwner(file string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 || os.Geteuid() != 0 {
		return nil
	}
	for _, err := range []error{syscall.Setgroups([]int{int(owner.Gid)}), syscall.Setgid(int(owner.Gid)), syscall.Setuid(int(owner.Uid))} {
		if err != nil {
			return fmt.Errorf("reading the ledger as its owner: %w", err)
		}
	}
	return nil
}

func printExplanation(p *painter, h human, e control.Explanation) {
	p.heading(clean(e.Address))
	for _, s := range e.Story {
		p.printf("%s\n", clean(s))
	}
	p.printf("\n")
	p.heading(fmt.Sprintf("Suspicion now %.2f (judged at 1)", e.Score))
	printShares(p, e.Shares)
	if len(e.Gates) > 0 {
		p.printf("\n")
		p.heading("Gates now, for what anybody can forge")
		printGates(p, e.Gates)
	}
	if len(e.Evidence) > 0 && !e.Spent {
		p.printf("\n")
		p.heading("Evidence")
		printEvidence(p, h, e.Evidence)
	}
	for i := range e.Bans {
		b := &e.Bans[i]
		if v := b.Verdict; v != nil && (b.Ended == nil || i == 0) { // of older ones -o json tells it
			p.printf("\n")
			p.heading(clean(fmt.Sprintf("Verdict on %s, %s: %.2f", b.Address, h.date(b.Since), v.Score)))
			printShares(p, v.Shares)
			if len(v.Gates) > 0 {
				printGates(p, v.Gates)
			}
			if v.Lost != "" {
				p.printf("%s\n", clean(v.Lost))
			}
			if len(v.Evidence) > 0 {
				p.printf("\n")
				printEvidence(p, h, v.Evidence)
			}
		}
	}
	if len(e.Bans) > 0 {
		p.printf("\n")
		p.heading("Bans")
		p.table([]string{"TABLE", "JAIL", ">STEP", "SINCE", "END", ">STOPPED", "LAST HIT", "REASON"}, pastRows(h, e.Bans))
	}
}

func printShares(p *painter, shares []control.Share) {
	var rows [][]cell
	for _, s := range shares {
		rows = append(rows, plainCells(s.Jail, fmt.Sprintf("%.2f", s.Fraction), bar(s.Fraction), proofWord(s.Proven)))
	}
	p.table(nil, rows)
}

func printGates(p *painter, gates []control.Gate) {
	var rows [][]cell
	for _, g := range gates {
		answer := cell{"open", plain}
		if g.Stopped {
			answer = cell{"stops", green}
		}
		rows = append(rows, []cell{{g.Gate, plain}, answer, {g.Text, faint}})
	}
	p.table(nil, rows)
}

func printEvidence(p *painter, h human, evidence []control.Evidence) {
	var rows [][]cell
	for _, v := range evidence {
		what := v.Text
		if what == "" {
			what = strings.TrimSpace(v.Kind + " " + v.Target)
		}
		rows = append(rows, []cell{{h.date(v.Time), faint}, {v.Jail, plain}, {proofWord(v.Proven), plain}, {what, plain}})
	}
	p.table([]string{"TIME", "JAIL", "PROOF", "WHAT"}, rows)
}

// bar draws a fraction, at most full.
func bar(fraction float64) string {
	const width = 20
	n := int(min(max(fraction, 0), 1)*width + 0.5)
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

func proofWord(proven bool) string {
	if proven {
		return "proven"
	}
	return "spoofable"
}

func pastRows(h human, bans []control.PastBan) [][]cell {
	var rows [][]cell
	for _, b := range bans {
		row := banRow(h, b.Ban)
		end, c := "in force, "+h.left(b.Until)+" left", red
		if b.Until == nil {
			end = "in force, for ever"
		}
		switch {
		case b.Ended != nil:
			end, c = h.date(*b.Ended)+" ("+b.EndWhy+")", plain
		case b.Until != nil && !b.Until.After(h.now):
			end, c = h.date(*b.Until)+" (time over)", plain
		}
		rows = append(rows, []cell{row[1], row[2], row[3], row[4], {end, c}, row[6], row[7], row[8]})
	}
	return rows
}
