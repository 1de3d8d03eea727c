package detect

import (
	"testing"

	"pgregory.net/rapid"
)

// TestDoorkeeperRemembers: what was marked in this generation or the one before is known, with its pair, and what was marked before these is not.
func TestDoorkeeperRemembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const second = 1_700_000_000
		d := newDoorkeeper(1 << 12)
		d.turn(second)
		type item struct{ block, source, pair uint64 }
		var generations [3][]item
		hash := rapid.Uint64()
		for g := range generations {
			for range rapid.IntRange(0, 20).Draw(t, "items") {
				x := item{hash.Draw(t, "block"), hash.Draw(t, "source"), hash.Draw(t, "pair")}
				d.mark(x.block, x.source, x.pair)
				generations[g] = append(generations[g], x)
			}
			for age, items := range [][]item{generations[g], generations[max(g-1, 0)]} {
				for _, x := range items {
					if known, same := d.has(x.block, x.source, x.pair); !known || !same {
						t.Fatalf("generation %d, age %d: %v is known %v, its pair %v", g, age, x, known, same)
					}
				}
			}
			for _, x := range generations[g] {
				if !d.surely(x.block, x.source, x.pair) {
					t.Fatalf("%v is of this generation and was marked for sure", x)
				}
			}
			set := 0
			for _, b := range d.blocks {
				for _, w := range b {
					for i := range 32 {
						set += int(w >> (32*d.young + i) & 1)
					}
				}
			}
			if set != d.set {
				t.Fatalf("%d bits are set, %d were counted", set, d.set)
			}
			d.turn(second + uint32(g+1)*doorkeeperLife)
			if d.set != 0 || d.rotated != uint64(g+1) {
				t.Fatalf("the new generation has %d bits, after %d rotations", d.set, d.rotated)
			}
			for _, x := range generations[g] {
				if d.surely(x.block, x.source, x.pair) {
					t.Fatalf("%v is of the old generation, not of this", x)
				}
			}
		}
		d.turn(second + 4*doorkeeperLife)
		for _, b := range d.blocks {
			if b != [blockWords]uint64{} {
				t.Fatal("two generations later something is left")
			}
		}
	})
}

// TestDoorkeeperMistakes: of sources never seen, some one in seven is taken for known when both generations are full, and some half as many of pairs.
func TestDoorkeeperMistakes(t *testing.T) {
	d := newDoorkeeper(1 << 16)
	h := newKeyed(5)
	next := uint64(0)
	draw := func() (block, source, pair uint64) {
		next++
		return h.key(key{1, next}), h.key(key{2, next}), h.key(key{3, next})
	}
	for range 2 {
		for d.set < d.bits()/doorkeeperFull {
			d.mark(draw())
		}
		if d.rotated == 0 {
			d.turn(1)
		}
	}
	known, same := 0, 0
	const n = 100_000
	for range n {
		k, s := d.has(draw())
		known += boolInt(k)
		same += boolInt(s)
	}
	t.Logf("%d sources and %d pairs of %d are taken for known", known, same, n)
	if known > n*15/100 || same > n*9/100 || known < n*10/100 {
		t.Errorf("%d sources and %d pairs of %d are taken for known", known, same, n)
	}
}
