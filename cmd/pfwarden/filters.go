package main

import (
	"errors"
	"fmt"

	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
)

// filterOptions lets the configuration ask the filter engine whether a filter or a pattern can be had.
func filterOptions() config.Options {
	return config.Options{KnownFilter: knownFilter, KnownRegex: knownRegex, KnownJail: knownJail}
}

func knownFilter(spec string) error {
	def, err := builtin.Lookup(spec)
	if err != nil {
		return err
	}
	_, err = filter.Compile(def, filter.Options{})
	return err
}

func knownJail(j *config.Jail) error {
	def, err := engine.DefinitionOf(j, builtin.Lookup)
	if err != nil {
		return err
	}
	_, err = filter.Compile(def, filter.Options{})
	return err
}

func knownRegex(regex string) error {
	_, err := filter.Compile(filter.Definition{Failregex: []string{regex}}, filter.Options{})
	if one := (*filter.RegexError)(nil); errors.As(err, &one) {
		return fmt.Errorf("%w (in %q)", one.Err, regex)
	}
	return err
}

// filterProof returns the proof that a filter has by itself, "" if that is not known.
func filterProof(spec string) string {
	def, err := builtin.Lookup(spec)
	if err != nil {
		return ""
	}
	return def.Proof
}

// patternWarnings says what is doubtful about the patterns that a jail has of its own.
func patternWarnings(j *config.Jail) []string {
	if len(j.FailRegex) == 0 {
		return nil
	}
	def, err := engine.DefinitionOf(j, builtin.Lookup)
	if err != nil {
		return []string{err.Error()}
	}
	f, err := filter.Compile(def, filter.Options{})
	if err != nil {
		return []string{err.Error()}
	}
	return f.Warnings()
}
