package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// compareShapes measures single bans in one process with root's rights, beside those of divided ones, which run has by default.
func (b *bench) compareShapes(divided figures) error {
	b.one = true
	one, err := b.measure(b.startOurs, true)
	b.one = false
	if err != nil {
		return fmt.Errorf("pfwarden --single-process: %w", err)
	}
	more := divided.single - one.single
	fmt.Printf("pfwarden: a single ban in one process: median %v, slowest %v; two processes take %v longer\n", one.single, one.slowest, more.Round(10*time.Microsecond))
	b.promise("a single ban in two processes, beyond that in one,", more, promiseDivided)
	return nil
}

// look notes how large the privileged process is now.
func (b *bench) look(daemon *exec.Cmd) {
	if b.one || daemon == nil || daemon.Process == nil || daemon.Args[0] != b.pfwarden || os.Geteuid() != 0 {
		return
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", daemon.Process.Pid))
	if err != nil {
		return // not Linux
	}
	for line := range strings.Lines(string(text)) {
		var kib int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			b.resident = max(b.resident, kib)
		}
	}
}
