//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package privsep

import (
	"os"

	"pfwarden/capture/pflog"
)

// openCapture opens bpf(4), binds it to the interface and locks it, so that the worker can neither bind it to another one nor write
// to the network.
func openCapture(name string, snaplen int) (*os.File, error) {
	return pflog.LockedBPF(pflog.LiveOptions{Interface: name, Snaplen: snaplen})
}

// attach makes a capture of a descriptor that was handed over.
func attach(f *os.File) (pflog.Handle, error) { return pflog.AttachBPF(f) }
