package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"pfwarden/internal/config"
)

// loadConfig reads the configuration that cmd's flags name. The default file need not be there, one that was asked for must.
// Faults, and a file that cannot be read because it is not there, end in exitUsage.
func loadConfig(cmd *cobra.Command, set []string) (*config.Config, error) {
	options := filterOptions()
	options.Set = set
	options.Missing = !cmd.Flags().Changed("config")
	c, err := config.Load(commonOf(cmd).Config, options)
	if err == nil {
		return c, nil
	}
	if faults := (config.Faults)(nil); errors.As(err, &faults) || !errors.Is(err, fs.ErrPermission) {
		return nil, usagef("%w", err)
	}
	return nil, err
}
