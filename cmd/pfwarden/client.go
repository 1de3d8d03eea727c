package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
)

// client connects a verb to the daemon: at --socket, else at the configuration's socket. A configuration that is at fault or
// must not be read by this user is no obstacle as long as nobody asked for it by name: then the usual socket is tried.
func client(cmd *cobra.Command, streams stdio) (*control.Client, error) {
	flags := commonOf(cmd)
	if flags.Socket != "" {
		return control.NewClient(flags.Socket), nil
	}
	c, err := loadConfig(cmd, nil)
	if err == nil {
		return control.NewClient(c.Control.Socket), nil
	}
	if cmd.Flags().Changed("config") {
		return nil, err
	}
	path := config.Default(runtime.GOOS).Control.Socket
	if flags.Verbose {
		fmt.Fprintf(streams.Err, "pfwarden: %v\npfwarden: trying the usual socket %s\n", err, path)
	}
	return control.NewClient(path), nil
}

// printJSON writes one object on one line.
func printJSON(streams stdio, v any) error { return json.NewEncoder(streams.Out).Encode(v) }

// refused is a line of JSON about an address that was left as it is.
type refused struct {
	Address string `json:"address"`
	Refused string `json:"refused"`
}

// printResult prints what became of an order: each ban by say, or as JSON Lines, and what was refused. Refusals end in exitFailed.
func printResult(cmd *cobra.Command, streams stdio, r control.BanResult, say func(p *painter, b control.Ban)) error {
	p := newPainter(streams.Out)
	for _, b := range r.Bans {
		if !commonOf(cmd).json() {
			say(p, b)
		} else if err := printJSON(streams, b); err != nil {
			return err
		}
	}
	complaint := newPainter(streams.Err)
	if r.Note != "" {
		complaint.printf("note: %s\n", clean(r.Note))
	}
	if len(r.Refused) == 0 {
		return p.err
	}
	for _, f := range r.Refused {
		if !commonOf(cmd).json() {
			complaint.printf("%s: %s\n", complaint.paint(red, clean(f.Address)), clean(f.Text))
		} else if err := printJSON(streams, refused{f.Address, f.Text}); err != nil {
			return err
		}
	}
	return &silentError{fmt.Errorf("%s refused", plural(len(r.Refused), "address"))}
}
