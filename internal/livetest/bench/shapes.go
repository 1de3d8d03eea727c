package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// shapes are how pfwarden is run to be compared: in two processes, as is the default for root, and in one with root's rights.
func shapes() []string { return []string{"in two processes", "in one process"} }

// compareShapes measures single bans in both shapes of run, side by side: both daemons run all the time, each over a PF of its own, and are
// attacked in turns. So whatever else the machine does meets both alike.
func (b *bench) compareShapes() error {
	hosts := make([]*host, len(shapes()))
	for i := range hosts {
		h, err := b.newHost([]string{"-a", "pfwarden", "-t", "banned"}, "anchor \"pfwarden\"\npass all\n")
		if err != nil {
			return err
		}
		defer h.close()
		h.one = i == 1
		if err := b.startOurs(h); err != nil {
			return fmt.Errorf("pfwarden %s: %w", shapes()[i], err)
		}
		hosts[i] = h
	}
	took := make([][]time.Duration, len(hosts))
	for n := range warmUp + b.pairs {
		for k := range hosts {
			i := (k + n) % len(hosts) // none is always the first
			d, err := hosts[i].single(n)
			if err != nil {
				return fmt.Errorf("pfwarden %s: %w", shapes()[i], err)
			}
			if n >= warmUp {
				took[i] = append(took[i], d)
			}
			time.Sleep(betweenShapes + time.Duration(n%7)*11*time.Millisecond)
		}
	}
	b.tellShapes(took)
	return nil
}

// warmUp is how many bans of each shape do not count; betweenShapes leaves pfctl's budget of four table runs a second untouched, and is long
// enough for the runs after a ban, which kill states.
const (
	warmUp        = 5
	betweenShapes = 150 * time.Millisecond
)

// tellShapes prints what the shapes took, and by how much they differ: of the medians, and the median of each pair's difference.
func (b *bench) tellShapes(took [][]time.Duration) {
	differences := make([]time.Duration, len(took[0]))
	for i := range differences {
		differences[i] = took[0][i] - took[1][i]
	}
	var medians []time.Duration
	for i, list := range took {
		medians = append(medians, quantile(list, 50))
		fmt.Printf("pfwarden %s: %d single bans in turns: log line to pfctl: median %v, 90%% within %v\n", shapes()[i], len(list), medians[i], quantile(list, 90))
	}
	more, pairs := medians[0]-medians[1], quantile(differences, 50)
	fmt.Printf("pfwarden: two processes take %v longer by the medians, %v by the pairs' median\n", more, pairs)
	b.promise("a single ban in two processes, beyond that in one,", more, promiseDivided)
}

// quantile is the value that a share of a list, in percent, does not exceed.
func quantile(list []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)].Round(10 * time.Microsecond)
}

// look notes how large the privileged process is now.
func (b *bench) look(h *host) {
	daemon := h.daemon
	if h.one || daemon == nil || daemon.Process == nil || daemon.Args[0] != b.pfwarden || os.Geteuid() != 0 {
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
