package main

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"pfwarden/pfctl/pftest"
)

// TestSoak soaks every profile: for a minute in all if PFWARDEN_SOAK is set, as CI does, else for seconds.
func TestSoak(t *testing.T) {
	d := 2 * time.Second
	if v := os.Getenv("PFWARDEN_SOAK"); v != "" {
		var err error
		if d, err = time.ParseDuration(v); err != nil {
			t.Fatalf("PFWARDEN_SOAK: %v", err)
		}
		d /= time.Duration(len(pftest.Profiles()))
	}
	if testing.Short() {
		t.Skip("takes time")
	}
	for _, p := range pftest.Profiles() {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			r, err := soak(t.Context(), options{profile: p, duration: d, seed: seed}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			if r.bans == 0 || r.stats.Runs["add"] == 0 {
				t.Errorf("nothing was done: %+v", r)
			}
		})
	}
}
