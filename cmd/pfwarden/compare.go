package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/replay"
	"pfwarden/internal/report"
	"pfwarden/internal/warden"
)

// currentSettings returns the configuration without what --set changes, to compare with; nil where nothing is changed or nothing can be compared,
// which is told.
func currentSettings(cmd *cobra.Command, streams stdio, flags *replayFlags, files []string) *config.Config {
	if len(flags.set) == 0 || !flags.compare {
		return nil
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			fmt.Fprintf(streams.Err, "pfwarden: %s cannot be read twice: there will be no comparison with the current settings\n", name)
			return nil
		}
	}
	c, err := loadConfig(cmd, nil)
	if err != nil {
		fmt.Fprintf(streams.Err, "pfwarden: there will be no comparison with the current settings: %v\n", err)
		return nil
	}
	return c
}

// playQuietly replays with other settings and reports nothing but the result.
func playQuietly(cmd *cobra.Command, streams stdio, o replay.Options, current *config.Config, flags *replayFlags, labels []report.Label) (*report.Report, error) {
	collector := report.New(report.Options{Labels: labels})
	o.Config, o.Journal = current, nil
	o.Watch = watched(current, flags.watch)
	if flags.samples && flags.watch == nil {
		o.Watch = sampleWatch()
	}
	o.OnEvent = func(e warden.Event) { collector.Event(e) }
	o.Watchers = []engine.Watcher{collector}
	o.OnStopped = func(p *capture.Packet) { collector.Stopped(p) }
	o.OnReject = func(pflog.Rejected) {} // told by the other replay
	finish := progress(streams, &o, flags.quiet)
	totals, err := replay.Run(cmd.Context(), o)
	finish()
	if err != nil {
		return nil, err
	}
	collector.Live(totals.Live)
	r := collector.Report()
	return &r, nil
}
