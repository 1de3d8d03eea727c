//go:build race

package detect

// raceEnabled lets the tests of ten million packets be left to the runs without the race detector: there is one goroutine.
const raceEnabled = true
