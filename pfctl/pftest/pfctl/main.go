// Command pfctl is a stand-in for pfctl(8): it keeps its PF in the folder $PFTEST_STATE. See package pftest.
package main

import (
	"os"
	"runtime/debug"
	"syscall"

	"pfwarden/pfctl/pftest"
)

func main() {
	debug.SetGCPercent(800) // one short run, so collecting is not worth its while
	os.Exit(pftest.PfctlMain(os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr, func() {
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			p.Signal(syscall.SIGKILL)
		}
	}))
}
