package main

import (
	"errors"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pfwarden/detect/filter"
	"pfwarden/detect/filter/date"
	"pfwarden/internal/regextest"
)

// fail2banFilters makes the loader for --fail2ban: it finds filters of a fail2ban folder. logtype is the --logtype given.
type fail2banFilters func(dir, logtype string) (func(spec string) (filter.Definition, error), error)

// newTestCommand builds pfwarden test.
func newTestCommand(streams stdio) *cobra.Command { return testCommand(streams, fail2banFolder) }

// testCommand builds it with what reads fail2ban folders; nil refuses --fail2ban.
func testCommand(streams stdio, folder fail2banFilters) *cobra.Command {
	var dir, timezone string
	var epoch float64
	var o regextest.Options
	cmd := &cobra.Command{
		Use:   "test [flags] LOG FILTER[options]|REGEX",
		Short: "try a filter or a pattern on a log",
		Long: `Run one filter over one log and report what each pattern matched, which lines were missed, which time stamps were found and
how long it took. On a terminal the report shows where in the line each part matched.

LOG is a file, "-" for standard input, or a line of text. FILTER is one of pfwarden's own filters with its options, with
--fail2ban one of that folder's, or a pattern with a tag such as <ADDR> or <HOST>.

Time stamps are taken as they stand in the log. With --now they are judged as fail2ban would at that time: lines older than
its findtime of 10 minutes are skipped, unless --no-findtime is given.`,
		Example: `  pfwarden test /var/log/authlog sshd
  pfwarden test /var/log/auth.log 'sshd[mode=aggressive]'
  pfwarden test --fail2ban /etc/fail2ban /var/log/apache2/error.log apache-auth
  pfwarden test 'Nov 22 15:20:08 gw app: bad password from 192.0.2.7' 'bad password from <ADDR>$'`,
		Args: nArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := commonOf(cmd)
			o.Log, o.Filter, o.Input, o.JSON, o.Verbose, o.FindTime = args[0], args[1], streams.In, c.json(), c.Verbose, 10*time.Minute
			if cmd.Flags().Changed("now") {
				o.Now = time.Unix(0, int64(epoch*1e9))
			}
			if timezone != "" {
				var err error
				if o.Location, err = date.Location(timezone); err != nil {
					return usagef("--timezone: %w", err)
				}
			}
			if err := loadFolder(&o, folder, dir); err != nil {
				return err
			}
			if f, ok := streams.Out.(*os.File); ok {
				o.Color = !o.JSON && term.IsTerminal(int(f.Fd()))
			}
			collectRarely()
			err := regextest.Run(cmd.Context(), streams.Out, o)
			if errors.Is(err, regextest.ErrUsage) {
				return usagef("%w", err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "fail2ban", "", "take the filter from this fail2ban `folder`")
	f.Float64Var(&epoch, "now", 0, "the current time, in `seconds` since 1970")
	f.StringVar(&o.UseDNS, "usedns", "", "`how` to treat host names: raw, no, yes or warn (default: as the filter says)")
	f.BoolVar(&o.NoFind, "no-findtime", false, "skip no line because of its age")
	f.BoolVar(&o.AllRegex, "all-regex", false, "try all patterns on each line, not just up to the first that matches")
	f.StringVar(&o.Logtype, "logtype", "", "`format` of the log's lines: file, short, journal or rfc5424")
	f.StringVar(&o.Encoding, "encoding", "", "`encoding` of the log, e.g. iso-8859-1 (default: as the filter says, else UTF-8)")
	f.StringVar(&timezone, "timezone", "", "`zone` of time stamps without one (default: local)")
	f.IntVar(&o.Year, "year", 0, "`year` of time stamps without one (default: by the file's modification time)")
	return cmd
}

func loadFolder(o *regextest.Options, folder fail2banFilters, dir string) error {
	for name, v := range map[string]struct {
		value   string
		allowed map[string]bool
	}{
		"usedns":  {o.UseDNS, map[string]bool{"": true, "raw": true, "no": true, "yes": true, "warn": true}},
		"logtype": {o.Logtype, map[string]bool{"": true, "file": true, "short": true, "journal": true, "rfc5424": true}},
	} {
		if !v.allowed[v.value] {
			return usagef("--%s %s: no such value (see pfwarden test --help)", name, v.value)
		}
	}
	if dir == "" {
		return nil
	}
	if folder == nil {
		return usagef("--fail2ban: this build cannot read fail2ban folders")
	}
	load, err := folder(dir, o.Logtype)
	if err != nil {
		return usagef("--fail2ban %s: %w", dir, err)
	}
	o.Load = load
	return nil
}

// collectRarely lets a short-lived command keep more garbage than is usual, unless the user's GOGC says how much: what it holds is small
// beside what it reads.
func collectRarely() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
