// Command bench measures how fast bans reach PF through the driver and the stand-in pfctl executable: 2,000 at once, 100,000, a
// restart with 150,000, and single bans. It prints one line a measurement.
//
//	go build -o /tmp/pfctl ./pfctl/pftest/pfctl && go run ./pfctl/bench -pfctl /tmp/pfctl -profile openbsd
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"pfwarden/pfctl"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	pfctl, profile, dir string
	log                 *slog.Logger
}

func run(args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	path := fs.String("pfctl", "", "the stand-in pfctl executable")
	profile := fs.String("profile", "openbsd", "its profile")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *path == "" {
		return errors.New("say where the stand-in is: -pfctl PATH")
	}
	b := bench{pfctl: *path, profile: *profile, log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, m := range []func(context.Context) error{b.single, b.burst(2000), b.burst(100000), b.restart(150000)} {
		dir, err := os.MkdirTemp("", "pfbench")
		if err != nil {
			return err
		}
		b.dir = dir
		err = m(context.Background())
		os.RemoveAll(dir)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) runner() *pfctl.ExecRunner {
	return &pfctl.ExecRunner{Path: b.pfctl, Env: []string{"PFTEST_STATE=" + b.dir, "PFTEST_PROFILE=" + b.profile, "PFTEST_FAULTS=request:1000000"}}
}

// driver starts a driver with its worker.
func (b *bench) driver(ctx context.Context, desired []pfctl.Entry) (*pfctl.Driver, func(), error) {
	r := b.runner()
	if _, err := r.Run(ctx, pfctl.Command{Args: []string{"-q", "-e", "-f", "-"}, Stdin: []byte("anchor \"pfwarden\"\npass all\n")}); err != nil {
		return nil, nil, err
	}
	d, err := pfctl.New(pfctl.Config{Anchor: "pfwarden"}, r, b.log, pfctl.SystemClock{})
	if err != nil {
		return nil, nil, err
	}
	if err := d.Start(ctx, desired); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return d, func() { cancel(); <-ended }, nil
}

func address(i int) pfctl.Entry {
	return pfctl.Entry{Table: pfctl.Banned, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(64 + i>>16), byte(i >> 8), byte(i)}), 32)}
}

func (b *bench) burst(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		d, stop, err := b.driver(ctx, nil)
		if err != nil {
			return err
		}
		defer stop()
		begin := time.Now()
		for i := range n {
			if err := d.Add(address(i)); err != nil {
				return err
			}
		}
		if err := d.Sync(ctx); err != nil {
			return err
		}
		fmt.Printf("%s: %d bans at once: in the table after %v (%d runs of add)\n", b.profile, n, time.Since(begin).Round(time.Millisecond), d.Stats().Runs["add"])
		return nil
	}
}

func (b *bench) restart(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		var list []pfctl.Entry
		for i := range n {
			list = append(list, address(i))
		}
		begin := time.Now()
		_, stop, err := b.driver(ctx, list)
		if err != nil {
			return err
		}
		stop()
		fmt.Printf("%s: start with %d bans, empty table: right after %v\n", b.profile, n, time.Since(begin).Round(time.Millisecond))
		for i := range 1000 { // some have ended, some are new
			list[i] = address(n + i)
		}
		begin = time.Now()
		d, stop, err := b.driver(ctx, list)
		if err != nil {
			return err
		}
		defer stop()
		fmt.Printf("%s: start again with %d bans, 1,000 of them new: right after %v (runs %v)\n",
			b.profile, n, time.Since(begin).Round(time.Millisecond), d.Stats().Runs)
		return nil
	}
}

func (b *bench) single(ctx context.Context) error {
	d, stop, err := b.driver(ctx, nil)
	if err != nil {
		return err
	}
	defer stop()
	var took []time.Duration
	for i := range 40 {
		begin := time.Now()
		if err := d.Add(address(i)); err != nil {
			return err
		}
		if err := d.Sync(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		time.Sleep(300 * time.Millisecond) // slower than the budget, as single bans come
	}
	slices.Sort(took)
	fmt.Printf("%s: a single ban: median %v, slowest %v\n", b.profile, took[len(took)/2].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
	return nil
}
