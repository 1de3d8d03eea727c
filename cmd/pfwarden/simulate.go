package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/internal/simulate"
)

// simulateFlags are the flags of pfwarden simulate as the user gave them.
type simulateFlags struct {
	o                            simulate.Options
	start, dialect               string
	output, logs, labels         string
	bigEndian, nanoseconds, list bool
	snaplen                      uint32
}

func newSimulateCommand(streams stdio) *cobra.Command {
	var flags simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate -o FILE [--logs DIR] [--labels FILE]",
		Short: "write labelled traffic of a gateway: pflog, server logs, and who is who",
		Long: `Write what PF and the servers behind a gateway would log of scans, bots and password guessing, of everybody who must not be
banned and, on request, of attacks on the detector; and a list of who is who, by which "replay --labels" scores the detector.
The same flags produce the same bytes. The classes, their rates and the sources of these: docs/simulate.md.`,
		Example: `  pfwarden simulate --seed 1 -o out.pflog --logs logs --labels labels.csv
  pfwarden replay --timezone UTC --labels labels.csv out.pflog logs/authlog logs/error_log
  pfwarden simulate --seed 2 --hosts 8 --days 7 --flood 10000000 -o - | pfwarden replay -`,
		Args: nArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runSimulate(cmd, streams, &flags) },
	}
	f := cmd.Flags()
	o := &flags.o
	f.Uint64Var(&o.Seed, "seed", 1, "`number` that seeds the random numbers")
	f.IntVar(&o.Hosts, "hosts", 256, "`number` of addresses behind the gateway: 1, 8, 256 or any other up to 65536")
	f.Float64Var(&o.Days, "days", 1, "how many `days` of traffic")
	f.StringVar(&flags.start, "start", "2026-10-01T00:00:00Z", "`time` of the first record, RFC 3339")
	f.Float64Var(&o.Scale, "scale", 1, "multiply the number of senders by this `factor`")
	f.StringSliceVar(&o.Classes, "class", nil, "write senders of this `class` only (may be repeated; --list names them)")
	f.StringVar(&flags.dialect, "dialect", "openbsd", "`system` whose records to write, or the record layout: "+strings.Join(simulate.Dialects(), ", "))
	f.BoolVar(&flags.bigEndian, "big-endian", false, "write as a big-endian machine does")
	f.BoolVar(&flags.nanoseconds, "nanoseconds", false, "write time stamps in nanoseconds")
	f.Uint32Var(&flags.snaplen, "snaplen", 0, "`bytes` kept of each record (default 160; the BSDs other than OpenBSD keep 116)")
	f.StringVarP(&flags.output, "output", "o", "", "write pflog records to this `file`; - is standard output")
	f.Lookup("output").Annotations = map[string][]string{fileFlag: {"true"}}
	f.StringVar(&flags.logs, "logs", "", "write authlog and error_log into this `folder`")
	f.StringVar(&flags.labels, "labels", "", "write who is who into this CSV `file`")
	f.IntVar(&o.Flood, "flood", 0, "add a flood of this `number` of forged sources, one packet each")
	f.IntVar(&o.Evict, "evict", 0, "add this `number` of forged sources of three packets each, to push others out of the detector's tables")
	f.IntVar(&o.Frame, "frame", 0, "add scans forged in the name of this `number` of addresses that our side talks to")
	f.IntVar(&o.GateRaising, "gate-raising", 0, "add this `number` of scanners that first pose as victims of a flood")
	f.DurationVar(&o.FloodSpan, "flood-span", time.Hour, "how `long` --flood and --evict last, around the middle of the time")
	f.BoolVar(&flags.list, "list", false, "list the classes and stop")
	return cmd
}

func runSimulate(cmd *cobra.Command, streams stdio, flags *simulateFlags) (err error) {
	if flags.list {
		return listClasses(streams.Out)
	}
	if flags.output == "" && flags.logs == "" && flags.labels == "" {
		return usagef("nothing to write: give -o, --logs or --labels")
	}
	o := flags.o
	if o.Start, err = time.Parse(time.RFC3339, flags.start); err != nil {
		return usagef("--start: got %q, expected a time such as 2026-10-01T00:00:00Z", flags.start)
	}
	if o.Hosts == 0 || o.Days == 0 || o.Scale == 0 || o.FloodSpan == 0 { // which Options takes for the defaults
		return usagef("--hosts, --days, --scale and --flood-span must not be 0")
	}
	if err := o.Validate(); err != nil {
		return usagef("%w", err)
	}
	var out simulate.Output
	if out.Format, err = simulate.ParseDialect(flags.dialect); err != nil {
		return usagef("--dialect: %w", err)
	}
	out.Format.File.BigEndian, out.Format.File.Nanoseconds = flags.bigEndian, flags.nanoseconds
	if cmd.Flags().Changed("snaplen") {
		least := uint32(max(out.Format.Dialect, 28)+3)&^3 + 28 // PF's header, that of IPv4, and ports: less is no record
		if flags.snaplen < least {
			return usagef("--snaplen: got %d, expected at least %d, or nobody could read the records", flags.snaplen, least)
		}
		out.Format.File.Snaplen = flags.snaplen
	}
	var files outputFiles
	defer func() { err = errors.Join(err, files.close()) }()
	if out.Pflog, err = files.create(streams, flags.output); err != nil {
		return err
	}
	if flags.logs != "" {
		if err := os.MkdirAll(flags.logs, 0o755); err != nil {
			return err
		}
		if out.AuthLog, err = files.create(streams, filepath.Join(flags.logs, "authlog")); err != nil {
			return err
		}
		if out.ErrorLog, err = files.create(streams, filepath.Join(flags.logs, "error_log")); err != nil {
			return err
		}
	}
	list, err := files.create(streams, flags.labels)
	if err != nil {
		return err
	}
	labels, totals, err := simulate.Run(cmd.Context(), o, out)
	if err != nil {
		return err
	}
	if list != nil {
		if err := simulate.WriteLabels(list, labels); err != nil {
			return err
		}
	}
	if commonOf(cmd).Verbose {
		fmt.Fprintf(streams.Err, "pfwarden: %d packets, %d lines of sshd, %d of httpd, %d labelled senders\n",
			totals.Packets, totals.AuthLines, totals.ErrorLines, totals.Senders)
	}
	return nil
}

func listClasses(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, c := range simulate.Classes() {
		want := "must not be banned"
		if c.Want {
			want = "wanted"
		}
		if !c.Usual {
			want += ", on demand"
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\n", c.Name, want, c.About)
	}
	return tab.Flush()
}

// outputFiles are the files being written, buffered.
type outputFiles struct {
	buffers []*bufio.Writer
	files   []*os.File
	out     bool // standard output is one of them
}

// create opens a file for writing; "" gives nil, "-" standard output. Two that are the same are refused.
func (o *outputFiles) create(streams stdio, name string) (io.Writer, error) {
	w := streams.Out
	switch name {
	case "":
		return nil, nil
	case "-":
		if o.out {
			return nil, usagef("only one of --output and --labels may be standard output")
		}
		o.out = true
	default:
		if err := o.another(name); err != nil {
			return nil, err
		}
		f, err := os.Create(name)
		if err != nil {
			return nil, err
		}
		o.files = append(o.files, f)
		w = f
	}
	b := bufio.NewWriterSize(w, 256<<10)
	o.buffers = append(o.buffers, b)
	return b, nil
}

func (o *outputFiles) close() error {
	var errs []error
	for _, b := range o.buffers {
		errs = append(errs, b.Flush())
	}
	for _, f := range o.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// another refuses a file that is being written already, whatever its name.
func (o *outputFiles) another(name string) error {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() { // a device may be named twice
		return nil
	}
	for _, f := range o.files {
		if known, err := f.Stat(); err == nil && os.SameFile(info, known) {
			return usagef("%s and %s are the same file: --output, --labels and the logs need one each", f.Name(), name)
		}
	}
	return nil
}
