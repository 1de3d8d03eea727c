// Command pfwarden reads what PF logged and what servers logged, decides in one detector who attacks, and keeps the
// attackers in tables of a PF anchor. See pfwarden(8).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	localZone(os.Getenv("TZ"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, shimArgs(os.Args), stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	if err != nil && !silent(err) {
		fmt.Fprintf(os.Stderr, "pfwarden: %v\n", err)
	}
	os.Exit(exitCode(err))
}
