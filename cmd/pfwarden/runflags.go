package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"pfwarden/internal/config"
)

// runFlags are the flags of run and of the processes that it starts.
type runFlags struct {
	set     []string
	journal string
	folder  string // of fail2ban
	user    string // the worker's
	one     bool
}

func (r *runFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&r.set, "set", nil, "override one key of the configuration: `section.key=value` (may be repeated)")
	flags.StringVar(&r.folder, "fail2ban", "", "also run the jails of this fail2ban `folder`, as they are")
	flags.StringVar(&r.user, "user", "", "`name` of the user that the unprivileged process runs as (default _pfwarden, or nobody if there is none)")
}

// load reads the configuration.
func (r *runFlags) load(cmd *cobra.Command) (*config.Config, error) {
	c, err := loadConfig(cmd, r.set)
	if err == nil && r.folder != "" {
		c.Fail2ban = r.folder
	}
	return c, err
}

// args are the same flags for another process.
func (r *runFlags) args(cmd *cobra.Command, verb string) ([]string, error) {
	args := []string{verb}
	if cmd.Flags().Changed("config") {
		path, err := filepath.Abs(commonOf(cmd).Config)
		if err != nil {
			return nil, err
		}
		args = append(args, "--config", path)
	}
	for _, s := range r.set {
		args = append(args, "--set", s)
	}
	for name, v := range map[string]string{"--fail2ban": r.folder, "--user": r.user} {
		if v != "" {
			args = append(args, name, v)
		}
	}
	return args, nil
}
