package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"pfwarden/capture"
)

const banColumns = `id, prefix, ident, scope, tablename, jail, proven, observed, state, since, until, step, count, longer, by, reasons,
	ended, end_why, end_by, forgiven, packets, bytes, last_hit, base_packets, base_bytes`

// scanBan reads banColumns and, if with is set, the story behind them.
func scanBan(rows *sql.Rows, with bool) (Ban, error) {
	var b Ban
	var prefix, reasons, story string
	var ident []byte
	var state uint8
	var since, until, ended, lastHit, packets, bytes, basePackets, baseBytes int64
	into := []any{
		&b.ID, &prefix, &ident, &b.Scope, &b.Table, &b.Jail, &b.Proven, &b.Observed, &state, &since, &until, &b.Step, &b.Count, &b.Longer,
		&b.By, &reasons, &ended, &b.EndWhy, &b.EndedBy, &b.Forgiven, &packets, &bytes, &lastHit,
		&basePackets, &baseBytes,
	}
	if with {
		into = append(into, &story)
	}
	if err := rows.Scan(into...); err != nil {
		return b, err
	}
	var err error
	if b.Prefix, err = parsePrefix(prefix); err != nil {
		return b, fmt.Errorf("%w: ban %d: %w", ErrCorrupt, b.ID, err)
	}
	b.Ident, b.State, b.Since, b.Until, b.Ended, b.LastHit = string(ident), State(state), fromMicros(since), fromMicros(until), fromMicros(ended), fromMicros(lastHit)
	b.Packets, b.Bytes, b.BasePackets, b.BaseBytes = uint64(packets), uint64(bytes), uint64(basePackets), uint64(baseBytes)
	if b.Reasons = oneReason(reasons); b.Reasons == nil && reasons != "[]" {
		if err := json.Unmarshal([]byte(reasons), &b.Reasons); err != nil {
			return b, fmt.Errorf("%w: reasons of ban %d: %w", ErrCorrupt, b.ID, err)
		}
	}
	if story != "" {
		// An unreadable story costs only itself: the ban is what matters.
		if err := json.Unmarshal([]byte(story), &b.Story); err != nil {
			b.Story = Story{Lost: "cannot be read back: " + err.Error()}
		}
	}
	return b, nil
}

// oneReason reads a list of one text that needs no unescaping, nil if it is another list: a start reads very many of them.
func oneReason(list string) []string {
	s, ok := strings.CutPrefix(list, `["`)
	if !ok {
		return nil
	}
	if s, ok = strings.CutSuffix(s, `"]`); !ok || strings.ContainsAny(s, `"\`) {
		return nil
	}
	return []string{s}
}

// Start implements Store.
func (db *DB) Start(ctx context.Context) (Start, error) {
	var s Start
	err := db.query(ctx, "SELECT "+banColumns+" FROM bans WHERE state < 3 ORDER BY id", nil, func(rows *sql.Rows) error {
		b, err := scanBan(rows, false)
		s.Unsettled = append(s.Unsettled, b)
		return err
	})
	if err != nil {
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
	return s, err
}

// Walk implements Store.
func (db *DB) Walk(ctx context.Context, from time.Time, f func(Past) error) error {
	const q = `SELECT id, prefix, ident, scope, tablename, jail, proven, observed, state, since, until, step, count, ended, end_why, forgiven
		FROM bans WHERE since >= ? ORDER BY since, id`
	return db.query(ctx, q, []any{micros(from)}, func(rows *sql.Rows) error {
		var p Past
		var prefix string
		var ident []byte
		var state uint8
		var since, until, ended int64
		err := rows.Scan(&p.ID, &prefix, &ident, &p.Scope, &p.Table, &p.Jail, &p.Proven, &p.Observed, &state, &since, &until, &p.Step, &p.Count, &ended, &p.EndWhy, &p.Forgiven)
		if err != nil {
			return err
		}
		if p.Prefix, err = parsePrefix(prefix); err != nil {
			return fmt.Errorf("%w: ban %d: %w", ErrCorrupt, p.ID, err)
		}
		p.Ident, p.State, p.Since, p.Until, p.Ended = string(ident), State(state), fromMicros(since), fromMicros(until), fromMicros(ended)
		return f(p)
	})
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
	err := db.query(ctx, text, append(args, q.limit()), func(rows *sql.Rows) error {
		b, err := scanBan(rows, !q.WithoutStory)
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
		// What holds it has one of at most 129 names; what lies inside it begins within its range.
		p := q.Prefix.Masked()
		var names []any
		for bits := 0; bits <= p.Bits(); bits++ {
			names = append(names, netip.PrefixFrom(p.Addr(), bits).Masked().String())
		}
		first, last := p.Addr().As16(), lastOf(p).As16()
		args = append(args, names...)
		add("(prefix IN (?"+strings.Repeat(", ?", len(names)-1)+") OR (first BETWEEN ? AND ? AND (prefix LIKE '%:%') = ?))", first[:], last[:], p.Addr().Is6())
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
		return Snapshot{}, false, errClosed(db.path)
	}
	s, ok, err := db.loadSnapshot(ctx)
	if err != nil {
		return Snapshot{}, false, fmt.Errorf("ledger %s: reading the snapshot: %w", db.path, typed(err))
	}
	return s, ok, nil
}

func (db *DB) loadSnapshot(ctx context.Context) (s Snapshot, ok bool, err error) {
	// One transaction: snapshot and positions belong together.
	tx, err := db.read.BeginTx(ctx, nil)
	if err != nil {
		return s, false, err
	}
	defer tx.Rollback()
	var at int64
	err = tx.QueryRowContext(ctx, "SELECT time, detector FROM snapshot WHERE id = 1").Scan(&at, &s.Detector)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	s.Time = fromMicros(at)
	rows, err := tx.QueryContext(ctx, "SELECT path, identity, offset FROM positions ORDER BY path")
	if err != nil {
		return s, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var path, identity []byte
		var p capture.Position
		if err := rows.Scan(&path, &identity, &p.Offset); err != nil {
			return s, false, err
		}
		p.Path, p.Identity = string(path), string(identity)
		s.Positions = append(s.Positions, p)
	}
	return s, true, rows.Err()
}

// query calls f for each row.
func (db *DB) query(ctx context.Context, text string, args []any, f func(*sql.Rows) error) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.read == nil {
		return errClosed(db.path)
	}
	rows, err := db.read.QueryContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("ledger %s: %w", db.path, typed(err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return fmt.Errorf("ledger %s: %w", db.path, typed(err))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger %s: %w", db.path, typed(err))
	}
	return nil
}
