package main

import (
	"pfwarden/internal/config"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/metrics"
	"pfwarden/internal/privsep"
)

// safePaths says which of the files that decide what the daemon does, or that it writes, everybody may change, or are reached by somebody else's
// symbolic link. It is asked at the start, at each reload and by check. users may own what the daemon writes, beside root.
func safePaths(c *config.Config, x *references, journal string, users ...int) error {
	read := []struct{ what, path string }{{"configuration", c.Path}, {"pf.rules_file", c.PF.RulesFile}, {"pf.pfctl", c.PF.Pfctl}}
	for _, path := range fail2banFiles(c, x) {
		read = append(read, struct{ what, path string }{"fail2ban folder " + c.Fail2ban, path})
	}
	for _, f := range read {
		if f.path == "" {
			continue
		}
		if err := privsep.Safe(f.path); err != nil {
			return usagef("%s: %w", f.what, err)
		}
	}
	for _, f := range []struct{ what, path string }{{"store.file", c.Store.File}, {"control.socket", c.Control.Socket}, {"--journal", journal}} {
		if f.path == "" || f.path == ":memory:" {
			continue
		}
		if err := privsep.SafePlace(f.path, users...); err != nil {
			return usagef("%s: %w", f.what, err)
		}
	}
	return nil
}

// fail2banFiles are the files of the fail2ban folder that is run.
func fail2banFiles(c *config.Config, x *references) []string {
	switch {
	case c.Fail2ban == "":
		return nil
	case x != nil && x.fail2ban != nil:
		return x.fail2ban.Setup.Files
	}
	s, err := fail2ban.Load(c.Fail2ban, fail2ban.Options{AllowMissingLogs: true, NoJournal: true})
	if err != nil {
		return nil // whoever runs it says so
	}
	return s.Files
}

// loadWeb reads metrics.web_config, and what it names, from safe paths.
func loadWeb(c *config.Config) (*metrics.Web, error) {
	w, err := metrics.LoadWeb(c.Metrics.WebConfig, privsep.Safe)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return w, nil
}

// safe is for one process, which reads these files itself: a fault costs the start, or the reload.
func safe(c *config.Config, journal string) error {
	if err := safePaths(c, nil, journal); err != nil {
		return err
	}
	_, err := loadWeb(c)
	return err
}
