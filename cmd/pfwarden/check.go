package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"pfwarden/internal/config"
)

func newCheckCommand(streams stdio) *cobra.Command {
	var set []string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "print every fault of the configuration, and what will be watched",
		Long: "check reads the configuration and prints all its faults at once, each as file:line: key: what is wrong and what was\n" +
			"expected. If there are none it says what will be watched on this machine, and warns of rules that can never match.\n" +
			"It touches neither PF nor a running daemon. Exit status 2 if there is a fault, else 0; warnings do not count.",
		Example: "  pfwarden check\n  pfwarden check -f new.toml\n  pfwarden check --set jail.sshd.maxretry=3 -o json",
		Args:    nArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return check(cmd, streams, set) },
	}
	setFlag(cmd, &set)
	return cmd
}

// setFlag adds --set to a verb that reads the configuration.
func setFlag(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "override one key of the configuration: `section.key=value` (may be repeated)")
}

func check(cmd *cobra.Command, streams stdio, set []string) error {
	c, err := loadConfig(cmd, set)
	var faults config.Faults
	switch {
	case errors.As(err, &faults):
		if !commonOf(cmd).json() {
			fmt.Fprintln(streams.Out, faults)
			return &silentError{usagef("%s", plural(len(faults), "fault"))}
		}
		if err := json.NewEncoder(streams.Out).Encode(checked{Faults: faults}); err != nil {
			return err
		}
		return &silentError{usagef("%s", plural(len(faults), "fault"))}
	case err != nil:
		return err
	}
	jails, err := surveyFail2ban(c)
	if err != nil {
		return usagef("%w", err)
	}
	if err := safe(c, ""); err != nil {
		return err
	}
	s := c.Survey(config.Machine{
		Proof:    filterProof,
		Patterns: patternWarnings,
		Group:    func(name string) error { _, err := user.LookupGroup(name); return err },
	})
	if commonOf(cmd).json() {
		return json.NewEncoder(streams.Out).Encode(checked{Faults: config.Faults{}, Survey: &s, Fail2ban: jails})
	}
	p := newPainter(streams.Out)
	printSurvey(p, s)
	printFail2ban(p, c.Fail2ban, jails)
	return p.err
}

// checked is check's JSON.
type checked struct {
	Faults config.Faults  `json:"faults"`
	Survey *config.Survey `json:"watching,omitempty"`

	Fail2ban []fail2banJail `json:"fail2ban,omitempty"`
}

func printSurvey(p *painter, s config.Survey) {
	if s.Config == "" {
		p.printf("%s\n\n", p.paint(green, "No configuration file: the defaults for "+s.OS+" apply."))
	} else {
		p.printf("%s\n\n", p.paint(green, clean(s.Config)+": no faults."))
	}
	p.heading("What is decided where")
	p.table(nil, settingRows(s))
	p.printf("\n")
	p.heading("What is watched")
	var rows [][]cell
	if s.Portscan.On {
		rows = append(rows, plainCells("portscan", "(packets)", "none", fmt.Sprintf("%g doors", s.Portscan.Threshold), s.Portscan.Ban, pflogText(s.Pflog)))
	}
	for _, j := range s.Jails {
		rows = append(rows, jailRow(j))
	}
	p.table([]string{"JAIL", "FILTER", "PROOF", "JUDGES AT", "BANS FOR", "READS"}, rows)
	if len(s.Missing) > 0 {
		names := make([]string, len(s.Missing))
		for i, m := range s.Missing {
			names[i] = m.Name
		}
		p.printf("\nOff, since none of their usual logs is here: %s.\n", strings.Join(names, ", "))
	}
	if len(s.Warnings) == 0 {
		return
	}
	p.printf("\n")
	p.heading(plural(len(s.Warnings), "warning") + " (nothing that stops the daemon)")
	for _, w := range s.Warnings {
		where := w.Key
		if w.Line > 0 {
			where = fmt.Sprintf("%s:%d: %s", w.File, w.Line, w.Key)
		}
		p.printf("  %s: %s\n", p.paint(yellow, clean(where)), clean(w.Text))
	}
}

func settingRows(s config.Survey) [][]cell {
	pf := fmt.Sprintf("anchor %s, tables %s and %s", s.PF.Anchor, s.PF.Banned, s.PF.Suspects)
	if s.PF.Backend != "pfctl" {
		pf += " of a PF in memory, which blocks nothing"
	}
	if s.Observe {
		pf += "; only observed, never touched"
	}
	never := strings.Join(s.Never, " ")
	if s.Defaults {
		never = strings.TrimSuffix("own addresses and networks, gateways, resolvers, loopback, multicast; "+never, "; ")
	}
	metrics := "off"
	if s.Metrics != "" {
		metrics = "http://" + s.Metrics + "/metrics"
	}
	rows := [][]cell{
		plainCells("PF", pf), plainCells("never banned", never), plainCells("ledger", s.Store), plainCells("control", s.Socket), plainCells("metrics", metrics),
	}
	if s.Fail2ban != "" {
		rows = append(rows, plainCells("fail2ban", "the jails of "+s.Fail2ban+" as they are"))
	}
	return rows
}

func pflogText(s config.PflogSurvey) string {
	var parts []string
	if s.Interface != "" {
		parts = append(parts, s.Interface+missing(s.InterfaceFound))
	}
	if s.File != "" {
		parts = append(parts, s.File+missing(s.FileFound))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", else ") + ": blocks on " + strings.Join(s.Watch, " ")
}

func missing(found bool) string {
	if found {
		return ""
	}
	return " (missing)"
}

func jailRow(j config.JailSurvey) []cell {
	if !j.On {
		return []cell{{j.Name, faint}, {j.Filter, faint}, {"", plain}, {"switched off", faint}}
	}
	filter, proof := j.Filter, j.Proof
	if filter == "" {
		filter = plural(j.Regexes, "pattern")
	}
	if proof == "" {
		proof = "?"
	}
	reads := strings.Join(j.Found, " ")
	if len(j.Found) == 0 {
		reads = strings.Join(j.Logs, " ") + " (missing)"
	}
	if len(j.Found) > 4 {
		reads = fmt.Sprintf("%s … (%d files)", strings.Join(j.Found[:3], " "), len(j.Found))
	}
	return plainCells(j.Name, filter, proof, fmt.Sprintf("%d in %s", j.MaxRetry, j.FindTime), strings.Join(j.Ladder, " "), reads)
}
