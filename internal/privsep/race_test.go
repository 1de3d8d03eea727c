//go:build race

package privsep

// raceEnabled leaves measurements of memory to the runs without the race detector, which needs much itself.
const raceEnabled = true
