package main

import (
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/config"
)

// filterOptions lets the configuration ask the filter engine whether a filter or a pattern can be had.
func filterOptions() config.Options {
	return config.Options{
		KnownFilter: func(spec string) error {
			def, err := builtin.Lookup(spec)
			if err == nil {
				_, err = filter.Compile(def, filter.Options{})
			}
			return err
		},
		KnownRegex: func(regex string) error {
			_, err := filter.Compile(filter.Definition{Failregex: []string{regex}}, filter.Options{})
			return err
		},
	}
}

// filterProof returns the proof that a filter has by itself, "" if that is not known.
func filterProof(spec string) string {
	def, err := builtin.Lookup(spec)
	if err != nil {
		return ""
	}
	return def.Proof
}
