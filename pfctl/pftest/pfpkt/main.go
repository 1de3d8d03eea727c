// Command pfpkt runs packets through the PF that the stand-in pfctl keeps in the folder $PFTEST_STATE. See package pftest.
package main

import (
	"os"

	"pfwarden/pfctl/pftest"
)

func main() {
	os.Exit(pftest.PfpktMain(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}
