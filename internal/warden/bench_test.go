package warden

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/internal/ledger"
)

func host(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(11 + i>>24), byte(i >> 16), byte(i >> 8), byte(i)}), 32)
}

// BenchmarkBans2000 is 2,000 verdicts that arrive at once, in one commit, on disk.
func BenchmarkBans2000(b *testing.B) {
	db, err := ledger.Open(filepath.Join(b.TempDir(), "l.db"), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	w, err := New(b.Context(), Config{}, db, &fakePF{}, &NeverList{}, t0)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		for range 2000 {
			n++
			v := proven(t0, "192.0.2.7")
			v.Source = host(n)
			w.Judge(t0, v)
		}
		if err := w.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		w.Tick(t0.Add(time.Hour))
		w.Commit(b.Context())
	}
}

// BenchmarkRestart150000 begins with 150,000 bans in force.
func BenchmarkRestart150000(b *testing.B) {
	db, err := ledger.Open(filepath.Join(b.TempDir(), "l.db"), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var batch ledger.Batch
	for i := range 150_000 {
		batch.Bans = append(batch.Bans, ledger.Ban{
			ID: int64(i + 1), Prefix: host(i), Table: "banned", Jail: "sshd", Proven: true, State: ledger.Active, Since: t0, Until: t0.Add(time.Hour), Step: 1, Count: 1,
			By: byItself, Reasons: []string{fmt.Sprintf("%d failed log-ins", i)},
		})
	}
	if err := db.Record(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		w, err := New(b.Context(), Config{}, db, &fakePF{}, &NeverList{}, t0)
		if err != nil {
			b.Fatal(err)
		}
		if n := len(w.Desired()); n != 150_000 {
			b.Fatalf("%d desired", n)
		}
	}
}
