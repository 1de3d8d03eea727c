package privsep

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func noNewPrivileges() error { return nil }

// confine pledges what a worker does after its start: its ledger (files and locks), names to resolve, the listeners, descriptors
// that are handed over, and the addresses of this machine.
func confine() error {
	if err := unix.PledgePromises("stdio rpath wpath cpath fattr flock inet unix dns recvfd route"); err != nil {
		return fmt.Errorf("pledge: %w", err)
	}
	return nil
}
