package replay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/warden"
)

// guessing writes sshd's log of some who guess together, each of whom stays below the jail's five failures in ten minutes.
func guessing(addresses int, address, user func(i, try int) string) []byte {
	var b bytes.Buffer
	at := time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC)
	for i := range addresses {
		for try := range 3 {
			fmt.Fprintf(&b, "%s gw sshd[%d]: Failed password for invalid user %s from %s port 40000 ssh2\n",
				at.Format(time.RFC3339), 1000+i, user(i, try), address(i, try))
			at = at.Add(time.Second)
		}
	}
	return b.Bytes()
}

// TestDistributedGuessing: many addresses of one /24, or many that try one user name, are told of and, where that is set, banned one by one: also
// those who were through with it before it could be known for what it is.
func TestDistributedGuessing(t *testing.T) {
	apart := func(i, _ int) string { return fmt.Sprintf("%d.%d.7.9", 20+i, i) }
	together := func(i, _ int) string { return fmt.Sprintf("198.51.100.%d", i+1) }
	anybody := func(i, try int) string { return fmt.Sprintf("u%dx%d", i, try) }
	oracle := func(_, _ int) string { return "oracle" }
	tests := []struct {
		name   string
		log    []byte
		act    bool
		weight int
		what   string
		bans   int
	}{
		{name: "one prefix is told of", log: guessing(40, together, anybody), weight: 2, what: "from 198.51.100.0/24"},
		{name: "one prefix is banned", log: guessing(40, together, anybody), act: true, weight: 2, what: "from 198.51.100.0/24", bans: 40},
		{name: "one user name is told of", log: guessing(30, apart, oracle), weight: 2, what: `user "oracle"`},
		{name: "one user name is banned", log: guessing(30, apart, oracle), act: true, weight: 2, what: `user "oracle"`, bans: 30},
		{name: "a weight of one changes nothing", log: guessing(30, apart, oracle), act: true, weight: 1, what: `user "oracle"`},
		{name: "few addresses are no case", log: guessing(11, apart, oracle), act: true, weight: 2},
		{name: "nothing in common", log: guessing(40, apart, anybody), act: true, weight: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config.Default("openbsd")
			c.Guessing.Act, c.Guessing.Weight = tt.act, tt.weight
			banned := map[string]bool{}
			totals, err := Run(context.Background(), Options{
				Config: c, Seed: 1, Location: time.UTC,
				Inputs: []Input{{Name: "authlog", Modified: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tt.log)), nil }}},
				OnEvent: func(e warden.Event) {
					if e.Kind != warden.EventBan {
						return
					}
					banned[e.Ban.Prefix.String()] = true
					if !strings.Contains(strings.Join(e.Ban.Reasons, " "), "distributed guessing") {
						t.Errorf("%v was banned for %q", e.Ban.Prefix, e.Ban.Reasons)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(banned) != tt.bans {
				t.Errorf("%d addresses were banned, expected %d", len(banned), tt.bans)
			}
			switch {
			case tt.what == "":
				if len(totals.Guesses) != 0 {
					t.Errorf("told of %v", totals.Guesses)
				}
			case len(totals.Guesses) != 1 || totals.Guesses[0].What() != tt.what:
				t.Errorf("told of %v, expected %s", totals.Guesses, tt.what)
			}
		})
	}
}
