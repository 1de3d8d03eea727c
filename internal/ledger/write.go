package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	insertBan = `INSERT INTO bans (id, prefix, first, ident, scope, tablename, jail, proven, observed, state, since, until, step, count,
	longer, by, reasons, story, ended, end_why, end_by, packets, bytes, last_hit, base_packets, base_bytes) VALUES `
	banMarks = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	orUpdate = ` ON CONFLICT (id) DO UPDATE SET state = excluded.state, until = excluded.until, proven = excluded.proven, longer = excluded.longer,
	reasons = excluded.reasons, story = CASE excluded.story WHEN '' THEN story ELSE excluded.story END,
	ended = excluded.ended, end_why = excluded.end_why, end_by = excluded.end_by,
	since = excluded.since, packets = excluded.packets, bytes = excluded.bytes, last_hit = excluded.last_hit,
	base_packets = excluded.base_packets, base_bytes = excluded.base_bytes`
	// bansAtOnce is how many rows one statement takes where there are many.
	bansAtOnce = 16
)

// Record implements Store.
func (db *DB) Record(ctx context.Context, b Batch) error {
	if b.Empty() {
		return nil
	}
	return db.transact(ctx, func(tx *sql.Tx) error { return record(ctx, tx, b) })
}

func record(ctx context.Context, tx *sql.Tx, b Batch) error {
	if err := recordBans(ctx, tx, b); err != nil {
		return err
	}
	for _, f := range b.Forgiven {
		q := Query{Prefix: f.Prefix}
		where, args := q.where()
		_, err := tx.ExecContext(ctx, "UPDATE bans SET forgiven = 1 WHERE state >= 2 AND since <= ? AND "+where, append([]any{micros(f.At)}, args...)...)
		if err != nil {
			return err
		}
	}
	if err := recordOnly(ctx, tx, b.NeverOnly); err != nil {
		return err
	}
	for _, p := range b.NeverRemove {
		if _, err := tx.ExecContext(ctx, "DELETE FROM never WHERE prefix = ?", p.String()); err != nil {
			return err
		}
	}
	for _, n := range b.NeverAdd {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO never (prefix, since, by, comment) VALUES (?, ?, ?, ?)",
			n.Prefix.String(), micros(n.Since), n.By, n.Comment)
		if err != nil {
			return err
		}
	}
	if b.Pause == nil {
		return nil
	}
	value, err := json.Marshal(b.Pause)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO state (name, value) VALUES ('pause', ?)", string(value))
	return err
}

// recordOnly carries out Batch.NeverOnly.
func recordOnly(ctx context.Context, tx *sql.Tx, only []Never) error {
	if only == nil {
		return nil
	}
	keep := make([]string, len(only))
	for i, n := range only {
		keep[i] = n.Prefix.String()
		_, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO never (prefix, since, by, comment) VALUES (?, ?, ?, ?)", keep[i], micros(n.Since), n.By, n.Comment)
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM never WHERE prefix NOT IN (SELECT value FROM json_each(?))", list(keep))
	return err
}

func recordBans(ctx context.Context, tx *sql.Tx, b Batch) error {
	bans := b.Bans
	for _, n := range [...]int{bansAtOnce, 1} {
		if len(bans) < n {
			continue
		}
		insert, err := tx.PrepareContext(ctx, insertBan+banMarks+strings.Repeat(", "+banMarks, n-1)+orUpdate)
		if err != nil {
			return err
		}
		defer insert.Close()
		args := make([]any, 0, n*strings.Count(banMarks, "?"))
		for ; len(bans) >= n; bans = bans[n:] {
			args = args[:0]
			for i := range n {
				args = appendRow(args, &bans[i])
			}
			if _, err := insert.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
	}
	if len(b.Transitions) > 0 {
		update, err := tx.PrepareContext(ctx, "UPDATE bans SET state = ? WHERE id BETWEEN ? AND ?")
		if err != nil {
			return err
		}
		defer update.Close()
		for list := b.Transitions; len(list) > 0; {
			n := 1 // bans that were made together are told to PF together
			for n < len(list) && list[n].State == list[0].State && list[n].ID == list[n-1].ID+1 {
				n++
			}
			if _, err := update.ExecContext(ctx, int64(list[0].State), list[0].ID, list[n-1].ID); err != nil {
				return err
			}
			list = list[n:]
		}
	}
	if len(b.Counters) > 0 {
		update, err := tx.PrepareContext(ctx, "UPDATE bans SET packets = ?, bytes = ?, last_hit = ?, base_packets = ?, base_bytes = ? WHERE id = ?")
		if err != nil {
			return err
		}
		defer update.Close()
		for _, c := range b.Counters {
			if _, err := update.ExecContext(ctx, int64(c.Packets), int64(c.Bytes), micros(c.LastHit), int64(c.BasePackets), int64(c.BaseBytes), c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendRow appends the values of banMarks.
func appendRow(args []any, b *Ban) []any {
	prefix, first := "", []byte(nil)
	if b.Prefix.IsValid() {
		a := b.Prefix.Masked().Addr().As16()
		prefix, first = b.Prefix.String(), a[:]
	}
	return append(args,
		b.ID, prefix, first, append([]byte{}, b.Ident...), b.Scope, b.Table, b.Jail, b.Proven, b.Observed, int64(b.State), micros(b.Since),
		micros(b.Until), b.Step, b.Count, b.Longer, b.By, list(b.Reasons), b.Story.text(), micros(b.Ended), b.EndWhy, b.EndedBy,
		int64(b.Packets), int64(b.Bytes), micros(b.LastHit), int64(b.BasePackets), int64(b.BaseBytes),
	)
}

// SaveSnapshot implements Store.
func (db *DB) SaveSnapshot(ctx context.Context, s Snapshot) error {
	return db.transact(ctx, func(tx *sql.Tx) error { return saveSnapshot(ctx, tx, s) })
}

func saveSnapshot(ctx context.Context, tx *sql.Tx, s Snapshot) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO snapshot (id, time, detector, waiting) VALUES (1, ?, ?, ?)",
		micros(s.Time), append([]byte{}, s.Detector...), append([]byte{}, s.Waiting...))
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM positions"); err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT OR REPLACE INTO positions (path, identity, offset) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, p := range s.Positions {
		if _, err := insert.ExecContext(ctx, []byte(p.Path), append([]byte{}, p.Identity...), p.Offset); err != nil {
			return err
		}
	}
	return nil
}

// purgeStep bounds how long one transaction of Purge keeps others waiting.
const purgeStep = 5000

// OldestEnd implements Store.
func (db *DB) OldestEnd(ctx context.Context) (at time.Time, ok bool, err error) {
	err = db.query(ctx, "SELECT ended FROM bans WHERE state = 3 ORDER BY ended LIMIT 1", nil, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		at, ok = time.UnixMicro(n), true
		return err
	})
	return at, ok, err
}

// Purge implements Store.
func (db *DB) Purge(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var n int64
		err := db.transact(ctx, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx,
				"DELETE FROM bans WHERE id IN (SELECT id FROM bans WHERE state = 3 AND ended < ? ORDER BY ended LIMIT ?)",
				micros(before), purgeStep)
			if err != nil {
				return err
			}
			n, err = r.RowsAffected()
			return err
		})
		total += int(n)
		if err != nil || n < purgeStep {
			return total, err
		}
	}
}

// transact runs f in a transaction.
func (db *DB) transact(ctx context.Context, f func(*sql.Tx) error) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.write == nil {
		return db.errClosed()
	}
	return db.transactLocked(ctx, f)
}

// transactLocked is transact for whoever holds the lock.
func (db *DB) transactLocked(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err == nil {
		if err = f(tx); err == nil {
			err = tx.Commit()
		} else {
			tx.Rollback()
		}
	}
	if err != nil {
		return fmt.Errorf("ledger %s: %w", db.options.Name, typed(err))
	}
	return nil
}

// errClosed says why there is nothing to work with. The caller holds the lock.
func (db *DB) errClosed() error {
	if db.broken != nil {
		return fmt.Errorf("ledger %s: %w, and could not be replaced yet", db.options.Name, ErrCorrupt)
	}
	if db.cramped != nil {
		return db.cramped
	}
	return fmt.Errorf("ledger %s: is closed", db.options.Name)
}

// micros writes a time; the zero time, which means "none", as 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(max(firstTime, min(n, lastTime))).UTC()
}

// firstTime and lastTime are the years that RFC 3339, and so JSON, can write: 0 to 9999, in microseconds.
const (
	firstTime = -62167219200 * 1e6
	lastTime  = 253402300799 * 1e6
)

func parsePrefix(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	return netip.ParsePrefix(s)
}
