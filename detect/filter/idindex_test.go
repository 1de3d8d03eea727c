package filter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestIDIndex: no text that begins with an id remembered is said not to, and most others are.
func TestIDIndex(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	id := func() string {
		if rng.IntN(200) == 0 {
			return []string{" ", "sshd: ", strings.Repeat("x", 300)}[rng.IntN(3)]
		}
		return fmt.Sprintf(" gw sshd[%d]: ", rng.IntN(30_000))
	}
	var index idIndex
	var known []string
	unsure, asked := 0, 0
	for range 50_000 {
		if len(known) >= maxRemembered || len(known) > 0 && rng.IntN(3) == 0 {
			i := rng.IntN(len(known))
			index.remove(known[i])
			known = append(known[:i], known[i+1:]...)
		} else {
			known = append(known, id())
			index.add(known[len(known)-1])
		}
		text, begins := id()+"Accepted publickey for bob", false
		for _, k := range known {
			begins = begins || strings.HasPrefix(text, k)
		}
		said := index.mayBegin(text)
		if begins && !said {
			t.Fatalf("%q begins with an id of %q", text, known)
		}
		if index.others == 0 {
			asked++
			if said && !begins {
				unsure++
			}
		}
	}
	if asked < 1000 || unsure > asked/10 {
		t.Errorf("%d of %d texts taken for others", unsure, asked)
	}
}
