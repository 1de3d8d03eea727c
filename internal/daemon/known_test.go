package daemon

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
)

// TestKnownEntries: of a table's entries those are ours that the ledger has a ban of, for that table and of exactly that prefix, few or many.
func TestKnownEntries(t *testing.T) {
	t.Parallel()
	db, err := ledger.Open(filepath.Join(t.TempDir(), "pfwarden.db"), ledger.Options{})
	if err != nil {
		t.Skip(err)
	}
	defer db.Close()
	for name, store := range map[string]ledger.Store{"database": db, "memory": &ledger.Memory{}} {
		t.Run(name, func(t *testing.T) {
			var batch ledger.Batch
			for i, c := range []struct {
				prefix, table string
				state         ledger.State
			}{{"198.51.100.1/32", "banned", ledger.Active}, {"198.51.100.2/32", "banned", ledger.Ended}, {"198.51.100.3/32", "suspects", ledger.Active}, {"198.51.100.8/30", "banned", ledger.Active}} {
				since := time.Unix(1_700_000_000, 0)
				batch.Bans = append(batch.Bans, ledger.Ban{
					ID: int64(1 + i), Prefix: netip.MustParsePrefix(c.prefix), Table: c.table, Jail: "sshd", State: c.state, Since: since, Until: since.Add(time.Hour), Count: 1,
				})
			}
			testkit.Must(t, store.Record(t.Context(), batch))
			d := &Daemon{store: store}
			var list []netip.Prefix
			for i := range 12 {
				list = append(list, netip.MustParsePrefix(fmt.Sprintf("198.51.100.%d/32", i)))
			}
			for _, more := range []int{0, 1000} {
				for i := range more {
					list = append(list, netip.MustParsePrefix(fmt.Sprintf("203.0.%d.%d/32", i/256, i%256)))
				}
				ours, err := d.knownAs(t.Context(), "banned", list)
				slices.SortFunc(ours, netip.Prefix.Compare)
				if err != nil || fmt.Sprint(ours) != "[198.51.100.1/32 198.51.100.2/32]" {
					t.Errorf("of %d entries %v are ours, %v", len(list), ours, err)
				}
			}
		})
	}
}
