package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/detect/filter/date"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/replay"
	"pfwarden/internal/report"
	"pfwarden/internal/sample"
	"pfwarden/internal/warden"
)

// replayFlags are the flags of pfwarden replay as the user gave them.
type replayFlags struct {
	set, watch                           []string
	timezone, labels, html, csv, journal string
	year                                 int
	samples, quiet, compare              bool
}

func newReplayCommand(streams stdio) *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "replay [--samples] [FILE...]",
		Short: "play old pflog files and logs through the detector: who would have been banned, when and why",
		Long: `Play pflog files and text logs, in any mixture, through the same detector and the same rules that run uses, in the
records' own time. PF is not asked, nothing is changed and no name is resolved. What a file holds is told by its
content: pcap or pcapng of pflog, or text; both may be compressed by gzip, zstd, bzip2 or xz; "-" is standard input.

Text logs are given to every filter. Time stamps without a zone are taken to be in this machine's (or --timezone), those
without a year in the year that fits the file's modification time (or --year). Blocks on every interface count as evidence,
unless pflog.watch or --watch names some.

A journal written by "run --journal" is replayed alone, to the verdict log: with -o json one JSON object per verdict. It brings
the settings that it was recorded with, and its verdicts are compared with those of the recorded run.

With --set the input is also played with the current settings, and the difference is shown: who is banned in addition, who no
longer. With --labels the verdicts are scored against a CSV file with the columns address,class,want,first,last.`,
		Example: `  pfwarden replay --samples
  pfwarden replay /var/log/pflog /var/log/pflog.*.gz /var/log/authlog
  pfwarden replay --set portscan.threshold=5 --html report.html pflog.pcap access.log`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runReplay(cmd, streams, args, &flags)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&flags.set, "set", nil, "override one key of the configuration: `section.key=value` (may be repeated)")
	f.StringArrayVar(&flags.watch, "watch", nil, "count only blocks on this `interface` as evidence (may be repeated)")
	f.StringVar(&flags.timezone, "timezone", "Local", "`zone` of time stamps without one in text logs: CET, +0100, Europe/Berlin …")
	f.IntVar(&flags.year, "year", 0, "`year` of time stamps without one in text logs (default: by the file's modification time)")
	f.StringVar(&flags.labels, "labels", "", "score the verdicts against this CSV `file`")
	f.StringVar(&flags.html, "html", "", "also write the report as one HTML `file`")
	f.StringVar(&flags.csv, "csv", "", "also write the bans as a CSV `file`")
	f.StringVar(&flags.journal, "journal", "", "record every input of the detector in this `file`")
	f.BoolVar(&flags.compare, "compare", true, "with --set, replay the current settings too, and show who is banned in addition and who no longer")
	f.BoolVar(&flags.samples, "samples", false, "play the bundled samples: one day of a gateway")
	f.BoolVarP(&flags.quiet, "quiet", "q", false, "no progress bar")
	return cmd
}

func runReplay(cmd *cobra.Command, streams stdio, files []string, flags *replayFlags) error {
	if len(files) == 0 && !flags.samples {
		return usagef("no file given; name pflog files and logs, or use --samples")
	}
	for _, name := range files {
		if !replay.IsJournal(name) {
			continue
		}
		if len(files) > 1 || flags.samples {
			return usagef("%s is a journal: it is replayed alone", name)
		}
		for _, f := range []string{"set", "labels", "html", "csv", "journal", "watch"} {
			if cmd.Flags().Changed(f) {
				return usagef("%s is a journal: it is replayed as it was recorded, without --%s", name, f)
			}
		}
		return replayJournal(cmd, streams, name)
	}
	c, err := loadConfig(cmd, flags.set)
	if err != nil {
		return err
	}
	o := replay.Options{Config: c, Stdin: streams.In, Year: flags.year, Now: nowOf(streams), Watch: watched(c, flags.watch), Seed: 1}
	if o.Location, err = date.Location(flags.timezone); err != nil {
		return usagef("--timezone %s: %w", flags.timezone, err)
	}
	if flags.year != 0 && (flags.year < 1970 || flags.year > 9999) {
		return usagef("--year %d: expected a year from 1970 on", flags.year)
	}
	if flags.samples {
		o.Inputs, o.Location = sampleInputs(), time.UTC
		if flags.watch == nil {
			o.Watch = sampleWatch()
		}
	}
	for _, name := range files {
		o.Inputs = append(o.Inputs, replay.Input{Name: name})
	}
	collect := report.Options{}
	if flags.labels != "" {
		if collect.Labels, err = readLabels(flags.labels); err != nil {
			return err
		}
	} else if flags.samples && len(files) == 0 {
		if collect.Labels, err = sampleLabels(); err != nil {
			return err
		}
	}
	if flags.journal != "" {
		if err := mayJournal(flags.journal); err != nil {
			return err
		}
		f, err := os.OpenFile(flags.journal, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		o.Journal = f
	}
	return play(cmd, streams, o, collect, currentSettings(cmd, streams, flags, files), flags)
}

// shownRejects is how many rejected records are told each by itself without -v.
const shownRejects = 10

// play runs the replay and writes what came of it; where current is not nil, beside what comes of those settings.
func play(cmd *cobra.Command, streams stdio, o replay.Options, collect report.Options, current *config.Config, flags *replayFlags) error {
	if os.Getenv("GOGC") == "" {
		// What lives is mostly fixed tables: collecting sooner costs next to nothing and keeps memory flat under a flood of sources.
		defer debug.SetGCPercent(debug.SetGCPercent(50))
	}
	var before *report.Report
	if current != nil {
		var err error
		if before, err = playQuietly(cmd, streams, o, current, flags, collect.Labels); err != nil {
			return fmt.Errorf("replaying with the current settings: %w", err)
		}
	}
	out := bufio.NewWriterSize(streams.Out, 64<<10)
	collector := report.New(collect)
	var lines *report.JSON // nil: text
	if commonOf(cmd).json() {
		lines = report.NewJSON(out)
	}
	o.OnEvent = func(e warden.Event) {
		collector.Event(e)
		if lines != nil {
			lines.Event(e)
		}
	}
	o.Watchers = []engine.Watcher{collector}
	o.OnStopped = func(p *capture.Packet) { collector.Stopped(p) }
	verbose := commonOf(cmd).Verbose
	var rejects uint64
	o.OnReject = func(r pflog.Rejected) {
		collector.Rejected(1)
		if rejects++; verbose || rejects <= shownRejects {
			fmt.Fprintf(streams.Err, "pfwarden: %v\n", r)
		}
	}
	finish := progress(streams, &o, flags.quiet)
	totals, err := replay.Run(cmd.Context(), o)
	finish()
	if err != nil {
		return err
	}
	if rejects > shownRejects && !verbose {
		fmt.Fprintf(streams.Err, "pfwarden: … and %d more records were rejected (-v tells each)\n", rejects-shownRejects)
	}
	tellFaults(streams.Err, totals)
	collector.Rejected(uint64(len(totals.Faults)))
	collector.Live(totals.Live)
	collector.Guesses(totals.Guesses)
	r := collector.Report()
	var changed *report.Difference
	if before != nil {
		d := report.Compare(before, &r, flags.set, collect.Labels)
		changed = &d
	}
	if lines != nil {
		err = endJSON(lines, &r, changed)
	} else {
		err = writeText(out, &r, changed, report.TextOptions{Location: o.Location})
	}
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := writeReport(flags.csv, r.CSV); err != nil {
		return err
	}
	if err := writeReport(flags.html, r.HTML); err != nil {
		return err
	}
	if len(totals.Faults) > 0 { // told above, and the report is of what could be read; but a script must not take it for the whole
		return &silentError{totals.Faults[0]}
	}
	return nil
}

// tellFaults says what was wrong with the files.
func tellFaults(w io.Writer, totals *replay.Totals) {
	if totals.Misdated > 0 {
		fmt.Fprintf(w, "pfwarden: records dated over an hour ahead of those after them in their file, and taken to be as old: %d\n", totals.Misdated)
	}
	if totals.Back > 0 {
		fmt.Fprintf(w, "pfwarden: times that a file went back by over an hour (a clock set back, or files put together): %d\n", totals.Back)
	}
	for _, fault := range totals.Faults {
		fmt.Fprintf(w, "pfwarden: %v\n", fault)
	}
}

// endJSON writes what follows the events; changed may be nil.
func endJSON(lines *report.JSON, r *report.Report, changed *report.Difference) error {
	if changed != nil {
		lines.Difference(changed)
	}
	lines.End(r)
	return lines.Err()
}

// writeText writes the report for people; changed may be nil.
func writeText(w io.Writer, r *report.Report, changed *report.Difference, o report.TextOptions) error {
	if err := r.Text(w, o); err != nil || changed == nil {
		return err
	}
	return changed.Text(w, o)
}

// writeReport writes one form of the report into a file, if one was asked for.
func writeReport(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return f.Close()
}

// watched is whose blocks are evidence in a replay: a machine's interface groups cannot be looked up on another.
func watched(c *config.Config, flag []string) []string {
	if flag != nil {
		return flag
	}
	if slices.Contains(c.Pflog.Watch, "egress") {
		return nil
	}
	return c.Pflog.Watch
}

func readLabels(name string) ([]report.Label, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	labels, err := report.ReadLabels(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return labels, nil
}

func sampleLabels() ([]report.Label, error) {
	f, err := sample.Files().Open(sample.Labels)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return report.ReadLabels(f)
}

// sampleWatch are the interfaces that are watched in the samples.
func sampleWatch() []string { return []string{sample.Interface} }

func sampleInputs() []replay.Input {
	var inputs []replay.Input
	for _, name := range sample.Inputs() {
		inputs = append(inputs, replay.Input{
			Name: name, Modified: sample.Date().Add(24 * time.Hour),
			Open: func() (io.ReadCloser, error) { return sample.Files().Open(name) },
		})
	}
	return inputs
}

// progress shows a bar on a terminal; the function returned takes it away again.
func progress(streams stdio, o *replay.Options, quiet bool) (finish func()) {
	var total int64
	for _, in := range o.Inputs {
		if info, err := os.Stat(in.Name); in.Open == nil && err == nil {
			total += info.Size()
		}
	}
	if quiet || total == 0 || !isTerminal(streams.Err) {
		return func() {}
	}
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(streams.Err), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("replay"))
	o.OnProgress = func(read int64) { _ = bar.Set64(min(read, total)) } // a bar that cannot be drawn is no fault
	return func() { _ = bar.Finish() }
}

func nowOf(s stdio) time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
