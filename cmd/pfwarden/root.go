package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// stdio is what a command reads and writes, so that tests can hand in their own.
type stdio struct {
	In       io.Reader
	Out, Err io.Writer

	Now  func() time.Time // nil = time.Now; only for what is shown to people, such as "3 min ago"
	Zone *time.Location   // of the times that people read; nil = time.Local
}

// common holds the flags that every verb knows.
type common struct {
	Config  string // -f: the configuration file
	Output  string // -o: "text" or "json"
	Socket  string // --socket: "" means the configuration's
	Verbose bool   // -v
}

// json tells whether machine-readable output was asked for.
func (c common) json() bool { return c.Output == "json" }

// commonOf reads the common flags as they were given to cmd.
func commonOf(cmd *cobra.Command) common {
	flags := cmd.Flags()
	text := func(name string) string {
		if f := flags.Lookup(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	return common{Config: text("config"), Output: text("output"), Socket: text("socket"), Verbose: text("verbose") == "true"}
}

// run executes one command line (without the program's name). It prints results to streams.Out and progress and warnings
// to streams.Err; the error it returns is for the caller to print and to turn into an exit status by exitCode.
func run(ctx context.Context, args []string, streams stdio) error {
	root := newRootCommand(streams)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// newRootCommand builds the whole tree of verbs. Nothing of it is global: every call makes its own.
func newRootCommand(streams stdio) *cobra.Command {
	root := &cobra.Command{
		Use:           "pfwarden",
		Short:         "watch PF's log and servers' logs, keep attackers out with PF",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs, // so that an unknown verb comes to RunE and gets our exit status
		RunE:          unknownVerb,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s (see %s --help)", flagFault(err), cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringP("config", "f", "/etc/pfwarden.toml", "configuration `file`; without one the system's defaults apply")
	flags.StringP("output", "o", "text", "`format` of the output: text or json (JSON Lines where it is a list)")
	flags.String("socket", "", "control socket `path` of the daemon (default: the configuration's)")
	flags.BoolP("verbose", "v", false, "print more detail")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return checkOutput(cmd) }

	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.DisableDefaultCmd = true // ours also knows ksh(1)
	root.AddCommand(verbs(streams)...)
	root.AddCommand(newFail2banCommands(streams)...)
	return root
}

// verbs are all there are, in the order of the manual.
func verbs(streams stdio) []*cobra.Command {
	return []*cobra.Command{
		newRunCommand(streams),
		newPlanCommand(streams),
		newWorkerCommand(streams),
		newHooksCommand(streams),
		newBindCaptureCommand(streams),
		newDemoCommand(streams),
		newReplayCommand(streams),
		newPflogCommand(streams),
		newTestCommand(streams),
		newCheckCommand(streams),
		newStatusCommand(streams),
		newBansCommand(streams),
		newExplainCommand(streams),
		newBanCommand(streams),
		newUnbanCommand(streams),
		newNeverCommand(streams),
		newPauseCommand(streams),
		newResumeCommand(streams),
		newPFCommand(streams),
		newSimulateCommand(streams),
		newImportCommand(streams),
		newCompletionCommand(streams),
		newVersionCommand(streams),
	}
}

// checkOutput refuses an unknown output format. A verb whose own -o names a file marks that flag with the annotation
// fileFlag and is left alone.
func checkOutput(cmd *cobra.Command) error {
	f := cmd.Flags().Lookup("output")
	if f == nil || f.Annotations[fileFlag] != nil {
		return nil
	}
	if v := f.Value.String(); v != "text" && v != "json" {
		return usagef("-o %s: no such format; text and json are known", v)
	}
	return nil
}

// fileFlag is the annotation of an --output flag that names a file (simulate) instead of a format.
const fileFlag = "pfwarden_file"

func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		_ = cmd.Help() // writes to the error stream, which has nobody left to tell
		return &silentError{usagef("no verb given")}
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("no verb %q; did you mean %s?", args[0], strings.Join(near, ", "))
	}
	return usagef("no verb %q (see pfwarden --help)", args[0])
}

// nArgs makes a check of positional arguments end with our exit status for wrong usage.
func nArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w (see %s --help)", err, cmd.CommandPath())
		}
		return nil
	}
}
