package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/capture"
)

const banColumns = `id, prefix, ident, scope, tablename, jail, proven, observed, state, since, until, step, count, longer, by, reasons,
	ended, end_why, end_by, forgiven, packets, bytes, last_hit, base_packets, base_bytes`

// banOf reads banColumns and, if there is one more, the story.
func banOf(v values, w words) (Ban, error) {
	b := Ban{
		ID: v.int(0), Ident: v.text(2), Scope: w.one(v.text(3)), Table: w.one(v.text(4)), Jail: w.one(v.text(5)), Proven: v.bool(6), Observed: v.bool(7),
		State: State(v.int(8)), Since: fromMicros(v.int(9)), Until: fromMicros(v.int(10)), Step: int(v.int(11)), Count: int(v.int(12)),
		Longer: int(v.int(13)), By: w.one(v.text(14)), Ended: fromMicros(v.int(16)), EndWhy: w.one(v.text(17)), EndedBy: w.one(v.text(18)),
		Forgiven: v.bool(19), Packets: uint64(v.int(20)), Bytes: uint64(v.int(21)), LastHit: fromMicros(v.int(22)),
		BasePackets: uint64(v.int(23)), BaseBytes: uint64(v.int(24)),
	}
	var err error
	if state := v.int(8); state < 0 || state > int64(Ended) {
		return b, fmt.Errorf("%w: ban %d is in state %d", ErrCorrupt, b.ID, state)
	}
	if b.Prefix, err = parsePrefix(v.text(1)); err != nil {
		return b, fmt.Errorf("%w: ban %d: %w", ErrCorrupt, b.ID, err)
	}
	if b.Reasons, err = w.list(v.text(15)); err != nil {
		return b, fmt.Errorf("%w: reasons of ban %d: %w", ErrCorrupt, b.ID, err)
	}
	if len(v) <= 25 {
		return b, nil
	}
	if story := v.text(25); story != "" {
		// An unreadable story costs only itself: the ban is what matters.
		if err := json.Unmarshal([]byte(story), &b.Story); err != nil {
			b.Story = Story{Lost: "cannot be read back: " + err.Error()}
		}
	}
	return b, nil
}

// Start implements Store.
func (db *DB) Start(ctx context.Context) (Start, error) {
	var s Start
	var err error
	if s.Unsettled, err = db.unsettled(ctx); err != nil {
		return Start{}, err
	}
	err = db.query(ctx, "SELECT prefix, since, by, comment FROM never ORDER BY prefix", nil, func(rows *sql.Rows) error {
		var n Never
		var prefix string
		var since int64
		if err := rows.Scan(&prefix, &since, &n.By, &n.Comment); err != nil {
			return err
		}
		p, err := netip.ParsePrefix(prefix)
		if err != nil {
			return fmt.Errorf("%w: never-list: %w", ErrCorrupt, err)
		}
		n.Prefix, n.Since = p, fromMicros(since)
		s.Never = append(s.Never, n)
		return nil
	})
	if err != nil {
		return Start{}, err
	}
	db.mu.RLock()
	damaged := db.standin != nil && db.standin.corrupt != nil
	db.mu.RUnlock()
	err = db.query(ctx, "SELECT coalesce(max(id), 0), (SELECT value FROM state WHERE name = 'pause') FROM bans", nil, func(rows *sql.Rows) error {
		var pause sql.NullString
		if err := rows.Scan(&s.LastID, &pause); err != nil || !pause.Valid {
			return err
		}
		if err := json.Unmarshal([]byte(pause.String), &s.Pause); err != nil {
			return fmt.Errorf("%w: pause: %w", ErrCorrupt, err)
		}
		return nil
	})
	if damaged {
		s.LastID += unknownIDs
	}
	return s, err
}

// manyBans are worth being read over both connections at once.
const manyBans = 5000

// unsettled reads the bans that are not Ended, by ID.
func (db *DB) unsettled(ctx context.Context) ([]Ban, error) {
	var n, first, last int64
	err := db.each(ctx, "SELECT count(*), coalesce(min(id), 0), coalesce(max(id), 0) FROM bans WHERE state < 3", nil, func(v values) error {
		n, first, last = v.int(0), v.int(1), v.int(2)
		return nil
	})
	if err != nil || n == 0 {
		return nil, err
	}
	index := "INDEXED BY bans_unsettled"
	if n > (last-first)/2 {
		index = "NOT INDEXED" // nearly all rows are wanted: in their order without a look-up for each
	}
	if n < manyBans {
		return db.between(ctx, index, first, last, n)
	}
	var lists [2][]Ban
	var errs [2]error
	middle := first + (last-first)/2
	var other sync.WaitGroup
	other.Go(func() { lists[1], errs[1] = db.between(ctx, index, middle+1, last, n*5/8) })
	lists[0], errs[0] = db.between(ctx, index, first, middle, n)
	other.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return append(lists[0], lists[1]...), nil
}

// between reads the unsettled bans with these IDs, about n.
func (db *DB) between(ctx context.Context, index string, first, last, n int64) ([]Ban, error) {
	list, w := make([]Ban, 0, n), newWords()
	err := db.each(ctx, "SELECT "+banColumns+" FROM bans "+index+" WHERE state < 3 AND id BETWEEN ? AND ? ORDER BY id", []any{first, last}, func(v values) error {
		b, err := banOf(v, w)
		list = append(list, b)
		return err
	})
	return list, err
}

const pastColumns = "id, prefix, ident, scope, tablename, jail, proven, observed, state, since, until, step, count, ended, end_why, forgiven"

// pasts calls f for the rows of a query for pastColumns.
func (db *DB) pasts(ctx context.Context, query string, args []any, f func(Past) error) error {
	w := newWords()
	return db.each(ctx, query, args, func(v values) error {
		p := Past{
			ID: v.int(0), Ident: v.text(2), Scope: w.one(v.text(3)), Table: w.one(v.text(4)), Jail: w.one(v.text(5)), Proven: v.bool(6),
			Observed: v.bool(7), State: State(v.int(8)), Since: fromMicros(v.int(9)), Until: fromMicros(v.int(10)), Step: int(v.int(11)),
			Count: int(v.int(12)), Ended: fromMicros(v.int(13)), EndWhy: w.one(v.text(14)), Forgiven: v.bool(15),
		}
		var err error
		if p.Prefix, err = parsePrefix(v.text(1)); err != nil {
			return fmt.Errorf("%w: ban %d: %w", ErrCorrupt, p.ID, err)
		}
		return f(p)
	})
}

// Walk implements Store.
func (db *DB) Walk(ctx context.Context, from time.Time, f func(Past) error) error {
	return db.pasts(ctx, "SELECT "+pastColumns+" FROM bans WHERE since >= ? ORDER BY since, id", []any{micros(from)}, f)
}

// walkEnded finds those that ended since, which those are that began since, too.
const walkEnded = "SELECT " + pastColumns + " FROM bans INDEXED BY bans_ended WHERE state = 3 AND ended >= ?1 AND since >= ?1 ORDER BY since, id"

// WalkEnded implements Store.
func (db *DB) WalkEnded(ctx context.Context, from time.Time, f func(Past) error) error {
	return db.pasts(ctx, walkEnded, []any{micros(from)}, f)
}

// walkChanged are those that began, have ended and are ending.
var walkChanged = [...]string{
	"SELECT " + pastColumns + " FROM bans INDEXED BY bans_since WHERE since > ?1",
	"SELECT " + pastColumns + " FROM bans INDEXED BY bans_ended WHERE state = 3 AND ended > ?1 AND since <= ?1",
	"SELECT " + pastColumns + " FROM bans INDEXED BY bans_leaving WHERE state = 2 AND ended > ?1 AND since <= ?1",
}

// WalkChanged implements Store.
func (db *DB) WalkChanged(ctx context.Context, after time.Time, f func(Past) error) error {
	var all []Past
	for _, query := range walkChanged {
		err := db.pasts(ctx, query, []any{micros(after)}, func(p Past) error {
			all = append(all, p)
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b Past) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	for _, p := range all {
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

// History implements Store.
func (db *DB) History(ctx context.Context, q Query) ([]Ban, error) {
	where, args := q.where()
	columns := banColumns
	if !q.WithoutStory {
		columns += ", story"
	}
	order := "since DESC, id DESC"
	if q.OldestFirst {
		order = "since, id"
	}
	text := "SELECT " + columns + " FROM bans WHERE " + where + " ORDER BY " + order + " LIMIT ?"
	var bans []Ban
	w := newWords()
	err := db.each(ctx, text, append(args, q.limit()), func(v values) error {
		b, err := banOf(v, w)
		bans = append(bans, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return bans, nil
}

// where writes q as SQL; every value is a parameter.
func (q *Query) where() (string, []any) {
	terms, args := []string{"1"}, []any(nil)
	add := func(term string, values ...any) {
		terms, args = append(terms, term), append(args, values...)
	}
	if q.ID != 0 {
		add("id = ?", q.ID)
	}
	if q.Prefix.IsValid() {
		// What holds it has one of at most 129 names, each with its first address; what lies inside it begins within its range.
		p := q.Prefix.Masked()
		var firsts, names []any
		for bits := 0; bits <= p.Bits(); bits++ {
			wide := netip.PrefixFrom(p.Addr(), bits).Masked()
			first := wide.Addr().As16()
			firsts, names = append(firsts, first[:]), append(names, wide.String())
		}
		first, last := p.Addr().As16(), lastOf(p).As16()
		args = append(append(args, firsts...), names...)
		marks := "?" + strings.Repeat(", ?", len(names)-1)
		add("(first IN ("+marks+") AND prefix IN ("+marks+") OR (first BETWEEN ? AND ? AND (prefix LIKE '%:%') = ?))", first[:], last[:], p.Addr().Is6())
	}
	if q.Ident != "" {
		add("ident = ?", []byte(q.Ident))
	}
	if q.Table != "" {
		add("tablename = ?", q.Table)
	}
	if q.Jail != "" {
		add("jail = ?", q.Jail)
	}
	if q.By != "" {
		add("by = ?", q.By)
	}
	if !q.From.IsZero() {
		add("since >= ?", micros(q.From))
	}
	if !q.To.IsZero() {
		add("since < ?", micros(q.To))
	}
	if q.LiveOnly {
		add("state <= 1")
	}
	return strings.Join(terms, " AND "), args
}

// lastOf gives the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for i := p.Bits(); i < len(a)*8; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(a)
	return last
}

// LoadSnapshot implements Store.
func (db *DB) LoadSnapshot(ctx context.Context) (Snapshot, bool, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.read == nil {
		return Snapshot{}, false, db.errClosed()
	}
	s, ok, err := loadSnapshot(ctx, db.read)
	if err == nil {
		return s, ok, nil
	}
	err = typed(err)
	if errors.Is(err, ErrCorrupt) {
		s = snapshotRest(ctx, db.read)
	}
	return s, false, fmt.Errorf("ledger %s: reading the snapshot: %w", db.options.Name, err)
}

// snapshotRest gives what can be read of a damaged snapshot beside the detector's state: its time, and the positions that belong to it.
func snapshotRest(ctx context.Context, d *sql.DB) (s Snapshot) {
	var at int64
	if d.QueryRowContext(ctx, "SELECT time FROM snapshot WHERE id = 1").Scan(&at) == nil {
		s.Time = fromMicros(at)
	}
	s.Positions, _ = positions(ctx, d)
	return s
}

func loadSnapshot(ctx context.Context, d *sql.DB) (s Snapshot, ok bool, err error) {
	// One transaction: snapshot and positions belong together.
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return s, false, err
	}
	defer tx.Rollback()
	var at int64
	err = tx.QueryRowContext(ctx, "SELECT time, detector, waiting FROM snapshot WHERE id = 1").Scan(&at, &s.Detector, &s.Waiting)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	s.Time = fromMicros(at)
	s.Positions, err = positions(ctx, tx)
	return s, err == nil, err
}

// positions reads those of the logs. With an error there are those that came before it.
func positions(ctx context.Context, q interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}) (list []capture.Position, err error) {
	rows, err := q.QueryContext(ctx, "SELECT path, identity, offset FROM positions ORDER BY path")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var path, identity []byte
		var p capture.Position
		if err := rows.Scan(&path, &identity, &p.Offset); err != nil {
			return list, err
		}
		p.Path, p.Identity = string(path), string(identity)
		list = append(list, p)
	}
	return list, rows.Err()
}

// query calls f for each row.
func (db *DB) query(ctx context.Context, text string, args []any, f func(*sql.Rows) error) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.read == nil {
		return db.errClosed()
	}
	rows, err := db.read.QueryContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("ledger %s: %w", db.options.Name, typed(err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return fmt.Errorf("ledger %s: %w", db.options.Name, typed(err))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger %s: %w", db.options.Name, typed(err))
	}
	return nil
}
