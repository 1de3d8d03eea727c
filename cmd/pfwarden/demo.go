package main

import (
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"pfwarden/capture/pflog"
	"pfwarden/internal/config"
	"pfwarden/internal/demo"
)

func newDemoCommand(streams stdio) *cobra.Command {
	o := demo.Options{Version: version, Capture: pflog.CaptureKind()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "play the bundled samples through a daemon over a PF in memory, and serve metrics",
		Long: `Play one day of a gateway (pflog, sshd, httpd) through a real daemon over a PF in memory, day after day, and serve its metrics.
Time runs faster than real time (--speed), and bans are made and expire by it. Nothing on this machine is changed, and no
privileges are needed; the control socket's path is printed.`,
		Example: `  pfwarden demo
  pfwarden demo --speed 1440 --days 1 --listen 127.0.0.1:9999`,
		Args: nArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := "warn"
			if commonOf(cmd).Verbose {
				level = "info"
			}
			log, err := newLog(config.Log{Level: level, Target: "stderr", Format: "text"}, streams.Err, new(slog.LevelVar))
			if err != nil {
				return err
			}
			if o.Speed < 1 || o.Speed > 10000 {
				return usagef("--speed %v: expected 1 to 10000", o.Speed)
			}
			o.Log, o.Out, o.Socket = log, streams.Out, commonOf(cmd).Socket
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return demo.Run(ctx, o)
		},
	}
	cmd.Flags().Float64Var(&o.Speed, "speed", 144, "how many `times` faster than real time; 144 plays the day in ten minutes")
	cmd.Flags().IntVar(&o.Days, "days", 0, "stop after this number of `days`; 0 = never")
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:9845", "`address` of the metrics; \"\" = none")
	return cmd
}
