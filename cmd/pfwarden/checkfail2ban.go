package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/daemon"
	"pfwarden/internal/fail2ban"
)

// fail2banJail is what one jail of a fail2ban folder comes to.
type fail2banJail struct {
	Name     string   `json:"name"`
	On       bool     `json:"on"`
	Fault    string   `json:"fault,omitempty"` // why it is left out
	Filter   string   `json:"filter,omitempty"`
	Regexes  int      `json:"regexes"`
	Logs     []string `json:"logs"`  // as configured
	Found    []string `json:"found"` // files there are now
	MaxRetry int      `json:"maxretry"`
	FindTime string   `json:"findtime"`
	BanTime  string   `json:"bantime"`
	Grows    bool     `json:"grows"` // bantime.increment
	Anchor   string   `json:"anchor,omitempty"`
	Table    string   `json:"table,omitempty"` // of PF, filled by pfwarden itself
	Actions  []string `json:"actions"`         // run as commands
	Warnings []string `json:"warnings,omitempty"`
}

// surveyFail2ban says what the jails of the configuration's fail2ban folder come to.
func surveyFail2ban(c *config.Config) ([]fail2banJail, error) {
	if c.Fail2ban == "" {
		return nil, nil
	}
	r, err := daemon.ReadFail2ban(c, nil)
	if err != nil {
		return nil, fmt.Errorf("fail2ban folder %s: %w", c.Fail2ban, err)
	}
	var out []fail2banJail
	for _, j := range r.Jails {
		out = append(out, fail2banJailOf(&j))
	}
	for _, f := range r.Faults {
		out = append(out, fail2banJail{Name: f.Jail, Fault: f.Err.Error()})
	}
	return out, nil
}

func fail2banJailOf(j *fail2ban.RunningJail) fail2banJail {
	x := fail2banJail{
		Name: j.Engine.Name, On: true, Filter: j.Jail.Filter.Name, Regexes: len(j.Jail.Filter.FailRegex), Logs: j.Engine.Logs,
		MaxRetry: j.Detect.Threshold, FindTime: config.FormatDuration(j.Detect.Findtime), BanTime: "for ever", Grows: j.Detect.Increment, Warnings: j.Warnings,
	}
	if j.BanTime >= 0 {
		x.BanTime = config.FormatDuration(time.Duration(j.BanTime * float64(time.Second)))
	}
	for _, p := range j.Engine.Logs {
		if found, err := filepath.Glob(p); err == nil {
			x.Found = append(x.Found, found...)
		}
	}
	if j.PF != nil {
		x.Anchor, x.Table = j.PF.Anchor, j.PF.Table
	}
	for _, a := range j.Actions {
		x.Actions = append(x.Actions, a.Name)
	}
	return x
}

func printFail2ban(p *painter, dir string, jails []fail2banJail) {
	if dir == "" {
		return
	}
	p.printf("\n")
	p.heading("Jails of fail2ban's folder " + clean(dir))
	var rows [][]cell
	for _, j := range jails {
		if !j.On {
			continue
		}
		reads := strings.Join(j.Found, " ")
		if len(j.Found) == 0 {
			reads = strings.Join(j.Logs, " ") + " (missing)"
		}
		var does []string
		switch {
		case j.Table != "" && j.Anchor != "":
			does = append(does, fmt.Sprintf("<%s> of anchor %s", j.Table, j.Anchor))
		case j.Table != "":
			does = append(does, "<"+j.Table+">")
		}
		does = append(does, j.Actions...)
		bans := j.BanTime
		if j.Grows {
			bans += ", growing"
		}
		rows = append(rows, plainCells(j.Name, j.Filter, fmt.Sprintf("%d in %s", j.MaxRetry, j.FindTime), bans, strings.Join(does, " "), reads))
	}
	p.table([]string{"JAIL", "FILTER", "JUDGES AT", "BANS FOR", "BY", "READS"}, rows)
	for _, j := range jails {
		if j.Fault != "" {
			p.printf("  %s: %s\n", p.paint(red, clean(j.Name)+" is left out"), clean(j.Fault))
		}
		for _, w := range j.Warnings {
			p.printf("  %s: %s\n", p.paint(yellow, clean(j.Name)), clean(w))
		}
	}
}
