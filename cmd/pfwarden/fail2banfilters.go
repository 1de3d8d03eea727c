package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pfwarden/detect/filter"
	"pfwarden/internal/fail2ban"
)

// fail2banFolder finds filters in a fail2ban folder: by name[options], or by the path of a file in any filter.d.
func fail2banFolder(dir, logtype string) (func(spec string) (filter.Definition, error), error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", dir)
	}
	return func(spec string) (filter.Definition, error) {
		name, options, _ := strings.Cut(spec, "[")
		if options != "" {
			options = "[" + options
		}
		if filepath.Base(filepath.Dir(name)) == "filter.d" {
			base := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(name), ".conf"), ".local")
			return fail2ban.FilterDefinition(filepath.Dir(filepath.Dir(name)), base+options, logtype)
		}
		return fail2ban.FilterDefinition(dir, spec, logtype)
	}, nil
}
