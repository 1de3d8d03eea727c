package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"pfwarden/internal/privsep"
)

// newBindCaptureCommand is what a confined privileged process has a child do, for a moment: bind the capture that it inherits.
func newBindCaptureCommand(streams stdio) *cobra.Command {
	return &cobra.Command{
		Use: privsep.VerbCapture + " interface snaplen", Hidden: true, Args: nArgs(cobra.ExactArgs(2)),
		Short: "bind an inherited capture for the privileged process of run",
		RunE: func(_ *cobra.Command, args []string) error {
			snaplen, err := strconv.Atoi(args[1])
			if err != nil {
				return usagef("snaplen: %w", err)
			}
			return privsep.BindCapture(args[0], snaplen, streams.Out)
		},
	}
}
