// Command pfctl is a stand-in for pfctl(8): it keeps its PF in the folder $PFTEST_STATE. See package pftest.
package main

import (
	"os"
	"syscall"

	"pfwarden/pfctl/pftest"
)

func main() {
	os.Exit(pftest.PfctlMain(os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr, func() {
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			p.Signal(syscall.SIGKILL)
		}
	}))
}
