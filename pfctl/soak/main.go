// Command soak lets the PF driver work for a while against a PF in which everything goes wrong: faults, administrators, other
// programs. At the end the tables must equal the desired set, no never-listed address may ever have been in them, and the runs of
// pfctl must have stayed within their budget.
//
//	go run ./pfctl/soak -profile openbsd -duration 10m
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"pfwarden/pfctl/pftest"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	profile := fs.String("profile", "all", "one of the stand-in's profiles, or all, one after the other")
	duration := fs.Duration("duration", 10*time.Minute, "how long, for each profile")
	seed := fs.Uint64("seed", uint64(time.Now().UnixNano()), "of the random numbers")
	verbose := fs.Bool("v", false, "print the driver's log")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	profiles := []string{*profile}
	if *profile == "all" {
		profiles = pftest.Profiles()
	}
	code := 0
	for _, p := range profiles {
		r, err := soak(ctx, options{profile: p, duration: *duration, seed: *seed, verbose: *verbose}, log)
		fmt.Printf("%-11s seed %d: %d bans, %d unbans, %d refused, %d strange hands, faults %v; runs %v; errors %v; heals %v\n",
			p, *seed, r.bans, r.unbans, r.refused, r.foreign, r.faults, r.stats.Runs, r.stats.Errors, r.stats.Heals)
		fmt.Printf("%-11s %s: %s\n", p, map[bool]string{true: "ok", false: "FAILED"}[err == nil], r.verdict())
		if err != nil {
			fmt.Printf("%-11s FAILED: %v\n", p, err)
			code = 1
		}
	}
	return code
}
