package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/match"
	"pfwarden/detect/filter/date"
)

// pflogFlags are the flags of pfwarden pflog as the user gave them.
type pflogFlags struct {
	filter, dialect, idOrder, oldDirections, timezone string
	distinct                                          bool
}

func newPflogCommand(streams stdio) *cobra.Command {
	var flags pflogFlags
	cmd := &cobra.Command{
		Use:   "pflog [FILE...]",
		Short: "print pflog files, one line per record",
		Long: `Print the records of pflog files in tcpdump's style, or as JSON Lines with -o json.

Files are pcap or pcapng of link type 117 (or 17) in any byte order, plain or compressed by gzip, zstd, bzip2 or xz; this is
told by content, not by name. Several files are merged in time order. Without a file, or for "-", standard input is read.

A record that cannot be decoded is reported on standard error and skipped; so is an incomplete record at the end of a
file, which may still be growing. Exit status is 1 if a file cannot be opened, is not a pflog file or is damaged further on.

The filter is written in tcpdump's words: ip ip6 tcp udp icmp icmp6 host net port portrange src dst inbound outbound on action
reason rnr srnr rset and or not ( ), and in rid, uid, flags, nat and proto. It also works on IPv6 records of every system.`,
		Example: `  pfwarden pflog /var/log/pflog
  pfwarden pflog --filter 'inbound and action block and tcp dst port 22 or 23' /var/log/pflog.*.gz
  tcpdump -i pflog0 -w - | pfwarden pflog -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return printPflog(streams, args, flags, commonOf(cmd).json(), commonOf(cmd).Verbose)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.filter, "filter", "", "print only the records that match `expression`")
	f.StringVar(&flags.dialect, "dialect", "auto",
		"`system` that wrote the records, where their layout is ambiguous: auto, openbsd, freebsd, netbsd, dragonfly, darwin")
	f.StringVar(&flags.idOrder, "id-order", "file", "byte `order` of uid, pid and tracker: file, little, big")
	f.StringVar(&flags.oldDirections, "old-direction", "first", "`numbering` of the directions in link type 17: first (0 in, 1 out) or later (1 in, 2 out)")
	f.StringVar(&flags.timezone, "timezone", "Local", "time `zone` of the text output")
	f.BoolVar(&flags.distinct, "distinct", false, "print only the first record of a packet that OpenBSD's \"log (matches)\" logged several times")
	return cmd
}

// printer holds what the flags of one call mean.
type printer struct {
	filter  match.Filter
	system  pflog.System
	options pflog.Options
	zone    *time.Location
}

func (f pflogFlags) printer() (printer, error) {
	var p printer
	var err error
	if p.system, err = pflog.ParseSystem(f.dialect); err != nil {
		return p, usagef("--dialect: %w", err)
	}
	if p.filter, err = match.Compile(f.filter, p.system); err != nil {
		return p, usagef("%w", err)
	}
	if p.zone, err = date.Location(f.timezone); err != nil {
		return p, usagef("--timezone: %w", err)
	}
	switch f.idOrder {
	case "file":
	case "little":
		p.options.IDOrder = pflog.LittleEndian
	case "big":
		p.options.IDOrder = pflog.BigEndian
	default:
		return p, usagef("--id-order %s: want file, little or big", f.idOrder)
	}
	switch f.oldDirections {
	case "first":
	case "later":
		p.options.OldDirections = pflog.LaterDirections
	default:
		return p, usagef("--old-direction %s: want first or later", f.oldDirections)
	}
	p.options.Partial = true
	return p, nil
}

// toldRejects is how many rejected records are told one by one without -v: a damaged file can have millions.
const toldRejects = 1000

func printPflog(streams stdio, files []string, flags pflogFlags, json, verbose bool) error {
	p, err := flags.printer()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(streams.Out, 64<<10)
	var faults []error
	fault := func(err error) {
		out.Flush()
		fmt.Fprintln(streams.Err, "pfwarden:", err)
		faults = append(faults, err)
	}
	rejects := 0
	p.options.OnReject = func(r pflog.Rejected) {
		if rejects++; verbose || rejects <= toldRejects {
			out.Flush()
			fmt.Fprintln(streams.Err, "pfwarden:", r)
		}
	}
	readers := openPflogs(streams.In, files, p.options, fault)
	defer func() {
		for _, r := range readers {
			r.Close()
		}
	}()
	var source pflog.Source
	idle := func() bool { return false }
	if len(readers) == 1 { // perhaps a pipe that is written to right now
		source = readers[0]
		idle = func() bool { return readers[0].Buffered() == 0 }
	} else {
		sources := make([]pflog.Source, len(readers))
		for i, r := range readers {
			sources[i] = r
		}
		source = pflog.Merge(sources...)
	}
	if flags.distinct {
		source = pflog.Distinct(source)
	}
	if err := p.print(out, source, json, idle, fault); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	if rejects > toldRejects && !verbose {
		fmt.Fprintf(streams.Err, "pfwarden: … and %d more records were rejected (-v tells each)\n", rejects-toldRejects)
	}
	for _, r := range readers {
		if n := r.Others(); n > 0 {
			fmt.Fprintf(streams.Err, "pfwarden: %s: packets of other interfaces than pflog, passed over: %d\n", r.Name(), n)
		}
	}
	if len(faults) > 0 {
		return &silentError{errors.Join(faults...)}
	}
	return nil
}

// openPflogs opens all files that can be opened.
func openPflogs(in io.Reader, files []string, options pflog.Options, fault func(error)) []*pflog.Reader {
	if len(files) == 0 {
		files = []string{"-"}
	}
	var readers []*pflog.Reader
	for _, file := range files {
		var r *pflog.Reader
		var err error
		if file == "-" {
			r, err = pflog.NewReader(in, "-", options)
		} else {
			r, err = pflog.Open(file, options)
		}
		if err != nil {
			fault(err)
			continue
		}
		readers = append(readers, r)
	}
	return readers
}

// print writes the packets of source that match; it flushes whenever idle says that the next packet may take a while. A broken
// source costs the rest of it.
func (p printer) print(out *bufio.Writer, source pflog.Source, json bool, idle func() bool, fault func(error)) error {
	var packet capture.Packet
	var line []byte
	var last error
	for {
		switch err := source.Next(&packet); {
		case err == nil:
		case err == io.EOF, err == last: //nolint:errorlint // the plain end; or a single file, which keeps saying what broke it
			return nil
		default:
			fault(err)
			last = err
			continue
		}
		if p.filter(&packet) {
			if json {
				line = pflog.AppendJSON(line[:0], &packet, p.system)
			} else {
				line = pflog.AppendText(line[:0], &packet, p.system, p.zone)
			}
			if _, err := out.Write(append(line, '\n')); err != nil {
				return fmt.Errorf("standard output: %w", err)
			}
		}
		if idle() {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("standard output: %w", err)
			}
		}
	}
}
