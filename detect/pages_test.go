package detect

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestLargePages: asking for large pages changes no byte, whatever the table's size and place.
func TestLargePages(t *testing.T) {
	r := rand.NewChaCha8([32]byte{1})
	for _, n := range []int{0, 1, 4096, 2<<20 - 1, 2 << 20, 5<<20 + 64, 16 << 20} {
		b := make([]byte, n)
		if _, err := r.Read(b); err != nil {
			t.Fatal(err)
		}
		want := bytes.Clone(b)
		largePages(b)
		if !bytes.Equal(b, want) {
			t.Errorf("%d bytes have changed", n)
		}
	}
}

// TestCrowd: the tables ask once so many sources are known, and not before.
func TestCrowd(t *testing.T) {
	d, err := New(Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	now := seconds(nanos(start))
	for i := range uint64(pagesFrom + pagesFrom/2) {
		k := key{1, i}
		if used := d.scan.table.used; d.scan.crowded != (used >= pagesFrom) {
			t.Fatalf("crowded: %v by %d sources", d.scan.crowded, used)
		}
		d.scan.fresh(k, d.hash.key(k), now)
	}
	if !d.scan.crowded {
		t.Errorf("%d sources are no crowd", d.scan.table.used)
	}
}
