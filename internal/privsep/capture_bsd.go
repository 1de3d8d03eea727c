//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package privsep

import (
	"errors"
	"os"
	"runtime"

	"pfwarden/capture/pflog"
)

// openCapture gives what opens bpf(4), binds it to an interface and locks it, so that the worker can neither bind it to another one nor write to the
// network. A process that is about to be pledged may open the device but not bind it: it has that done by a child.
func openCapture(program string) func(string, int) (Captured, error) {
	if runtime.GOOS == "openbsd" {
		return captureByChild(program, pflog.OpenBPFDevice)
	}
	return func(name string, snaplen int) (Captured, error) {
		f, err := pflog.OpenBPFDevice()
		if err != nil {
			return Captured{}, err
		}
		size, err := setCapture(f, name, snaplen)
		if err != nil {
			return Captured{}, errors.Join(err, f.Close())
		}
		return Captured{f, size}, nil
	}
}

// setCapture binds an open device, and locks it.
func setCapture(f *os.File, name string, snaplen int) (buffer uint32, err error) {
	return pflog.SetBPF(f, pflog.LiveOptions{Interface: name, Snaplen: snaplen})
}

// attach makes a capture of a descriptor that was handed over.
func attach(c Captured) (pflog.Handle, error) { return pflog.AttachBPF(c.File, c.Buffer) }
