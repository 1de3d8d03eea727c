package ledger

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Salvaged says what was read of a corrupt database.
type Salvaged struct {
	Bans, Never int
	Unreadable  int  // rows that were there and make no sense; how many could not be reached is not known
	Snapshot    bool // of the detector, with the positions of the logs
	Left        int  // bans that have ended, the oldest, for which there was no time or no room
}

// String is for people: "12 bans, 1 entry of the never-list and the detector's snapshot".
func (s Salvaged) String() string {
	text := fmt.Sprintf("%d bans, %d entries of the never-list", s.Bans, s.Never)
	if s.Snapshot {
		text += ", the detector's snapshot"
	}
	if s.Unreadable > 0 {
		text += fmt.Sprintf("; %d rows make no sense", s.Unreadable)
	}
	if s.Left > 0 {
		text += fmt.Sprintf("; %d bans that have ended, the oldest, were left for want of time or room", s.Left)
	}
	return text
}

// Bounds of salvaging: how long it may take for what is in force and, once more, for the history after it; how many bans go into one transaction;
// how long those may be counted that are left.
const (
	salvageTime = time.Minute
	salvageStep = 500
	countTime   = 5 * time.Second
)

// Those that are not settled, and all others.
const (
	unsettledRows = "WHERE state < 3 "
	settledRows   = "WHERE coalesce(state, 3) >= 3 "
)

// salvage puts what can be read of the database at a path into this one, which is empty: first a pause, the never-list, the snapshot and the bans in
// force, then those that have ended, the newest first. What cannot be read is no error; that something cannot be written is, but for those that have
// ended, of which no more than most are read; 0 = all. The other database is only read. The caller holds the lock.
func (db *DB) salvage(path string, most int) (kept Salvaged, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), salvageTime)
	defer cancel()
	from, remove, err := db.inspect(ctx, path)
	defer remove()
	if err != nil {
		db.options.Log.Warn("nothing can be read of the corrupt ledger", "file", path, "error", err)
		return kept, nil
	}
	defer from.Close()
	s := salvager{db: db, from: from, kept: &kept, most: most}
	batch := Batch{Pause: s.pause(ctx), NeverAdd: s.never(ctx)}
	if err := s.store(context.Background(), batch); err != nil {
		return kept, err
	}
	kept.Never = len(batch.NeverAdd)
	snap, ok, e := loadSnapshot(ctx, from)
	if e != nil {
		snap = snapshotRest(ctx, from)
	}
	if ok || len(snap.Positions) > 0 {
		if err := db.transactLocked(context.Background(), func(tx *sql.Tx) error { return saveSnapshot(ctx, tx, snap) }); err != nil {
			return kept, err
		}
		kept.Snapshot = ok
	}
	if err := s.inForce(ctx); err != nil {
		return kept, err
	}
	history, cancel := context.WithTimeout(context.Background(), db.options.salvage)
	defer cancel()
	s.ended(history)
	return kept, nil
}

// inspect opens a database for reading alone: with what its journal says, or, where that cannot be had without writing, without it. Of one
// that was cut off, which SQLite does not open at all, a copy is made that has its full length; remove takes it away again.
func (db *DB) inspect(ctx context.Context, path string) (d *sql.DB, remove func(), err error) {
	ways := []string{"0", "1"}
	aside := path
	remove = func() { // what SQLite has made for reading
		if nothing(aside + "-wal") {
			_ = os.Remove(aside + "-wal")
			_ = os.Remove(aside + "-shm")
		}
	}
	mode := "ro"
	if copied, err := lengthen(path); err == nil { // it may be written: a journal is worked in
		path, mode, remove = copied, "rw", (&DB{path: copied}).remove
	}
	for _, immutable := range ways {
		if d, err = db.connectTo(path, url.Values{"mode": {mode}, "immutable": {immutable}, "_query_only": {"1"}}); err != nil {
			return nil, remove, err
		}
		d.SetMaxOpenConns(1)
		var tables int
		if err = d.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err == nil {
			return d, remove, nil
		}
		_ = d.Close() // nothing was written
	}
	return nil, remove, typed(err)
}

// maxLength bounds the length of a lengthened copy, of which what was cut off is a hole that takes no room.
const maxLength = 4 << 30

var errNotCut = errors.New("not cut off")

// lengthen copies a database that is shorter than its header says, with zeros for what is missing, and its journal. It returns errNotCut if it is not.
func lengthen(path string) (copied string, err error) {
	from, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	var header [headerSize]byte
	info, err := from.Stat()
	if err != nil {
		return "", err
	}
	if _, err := from.ReadAt(header[:], 0); err != nil {
		return "", err
	}
	page := int64(binary.BigEndian.Uint16(header[16:])) // sqlite.org/fileformat.html: 1 stands for 65536
	if page == 1 {
		page = 65536
	}
	full := page * int64(binary.BigEndian.Uint32(header[28:]))
	if full <= info.Size() || full > maxLength {
		return "", errNotCut
	}
	to, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+readInfix)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	err = errors.Join(err, to.Truncate(full), to.Close())
	for _, suffix := range []string{"-wal", "-journal"} {
		if err == nil && !nothing(path+suffix) {
			err = copyFile(path+suffix, to.Name()+suffix)
		}
	}
	if err != nil {
		(&DB{path: to.Name()}).remove()
		return "", err
	}
	return to.Name(), nil
}

func copyFile(path, name string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

type salvager struct {
	db   *DB
	from *sql.DB
	kept *Salvaged
	most int   // of those that have ended; 0 = all
	full error // why one could not be written
}

func (s *salvager) store(ctx context.Context, b Batch) error {
	if b.Empty() {
		return nil
	}
	return s.db.transactLocked(ctx, func(tx *sql.Tx) error {
		if err := record(ctx, tx, b); err != nil {
			return err
		}
		for i := range b.Bans {
			if !b.Bans[i].Forgiven {
				continue
			}
			if _, err := tx.ExecContext(ctx, "UPDATE bans SET forgiven = 1 WHERE id = ?", b.Bans[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// inForce reads the bans that are not settled from the first on, and where that ends too early, from the last back to there.
func (s *salvager) inForce(ctx context.Context) error {
	last := int64(0)
	err := s.walk(ctx, unsettledRows+"ORDER BY id", func(id int64) bool { last = max(last, id); return true })
	if err != nil && s.full == nil {
		err = s.walk(ctx, unsettledRows+"ORDER BY id DESC", func(id int64) bool { return id > last })
	}
	if err != nil && s.full == nil {
		s.db.options.Log.Warn("not all bans in force can be read of the corrupt ledger", "error", err)
	}
	return s.full
}

// ended reads the other ones from the last on, and where that ends too early, from the first up to there.
func (s *salvager) ended(ctx context.Context) {
	const none = math.MaxInt64
	first, left := int64(none), s.most
	err := s.walk(ctx, settledRows+"ORDER BY id DESC", func(id int64) bool {
		first = min(first, id)
		left--
		return s.most == 0 || left >= 0
	})
	if err != nil && s.full == nil && ctx.Err() == nil {
		err = s.walk(ctx, settledRows+"ORDER BY id", func(id int64) bool { return id < first })
	}
	if err == nil {
		return
	}
	s.db.options.Log.Warn("not all bans that have ended can be read of the corrupt ledger", "error", err)
	if s.full == nil && ctx.Err() == nil {
		return
	}
	count, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	var there, here int
	if s.from.QueryRowContext(count, "SELECT count(*) FROM bans NOT INDEXED "+settledRows).Scan(&there) == nil &&
		s.db.write.QueryRowContext(count, "SELECT count(*) FROM bans NOT INDEXED "+settledRows).Scan(&here) == nil {
		s.kept.Left = max(0, there-here)
	}
}

// walk copies bans, by the table alone, without its indexes, until there are no more or go says so.
func (s *salvager) walk(ctx context.Context, which string, goOn func(id int64) bool) error {
	var batch Batch
	flush := func() error {
		err := s.store(context.Background(), batch) // what was read is kept, also when time is up
		if err == nil {
			s.kept.Bans += len(batch.Bans)
		}
		batch.Bans = batch.Bans[:0]
		return err
	}
	conn, err := s.from.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	words := newWords()
	var failed error
	err = conn.Raw(func(c any) error {
		stopped, err := rowsOf(ctx, c, "SELECT "+banColumns+", story FROM bans NOT INDEXED "+which, nil, func(v values) error {
			b, err := banOf(v, words)
			switch {
			case !goOn(b.ID):
				return errEnough
			case err != nil, b.ID <= 0 || b.ID > maxID, b.Prefix != b.Prefix.Masked():
				s.kept.Unreadable++
				return nil
			}
			b.Ident = strings.Clone(b.Ident)
			if batch.Bans = append(batch.Bans, b); len(batch.Bans) >= salvageStep {
				failed = flush()
			}
			return failed
		})
		if stopped != nil && stopped != errEnough { //nolint:errorlint // it is that very value
			err = stopped
		}
		return err
	})
	if failed == nil {
		failed = flush()
	}
	if failed != nil {
		s.full = failed
		return failed
	}
	return typed(err)
}

// errEnough ends a walk. maxID leaves room for the bans to come.
const (
	errEnough = enough("enough")
	maxID     = 1 << 62
)

type enough string

func (e enough) Error() string { return string(e) }

// never reads the never-list, as far as it can be read and understood.
func (s *salvager) never(ctx context.Context) (list []Never) {
	rows, err := s.from.QueryContext(ctx, "SELECT prefix, since, by, comment FROM never NOT INDEXED")
	if err != nil {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var prefix string
		var since int64
		var n Never
		if rows.Scan(&prefix, &since, &n.By, &n.Comment) != nil {
			s.kept.Unreadable++
			continue
		}
		if n.Prefix, err = netip.ParsePrefix(prefix); err != nil || n.Prefix != n.Prefix.Masked() {
			s.kept.Unreadable++
			continue
		}
		n.Since = fromMicros(since)
		list = append(list, n)
	}
	if rows.Err() != nil {
		return list // what came before the damage
	}
	return list
}

func (s *salvager) pause(ctx context.Context) *Pause {
	var text string
	p := &Pause{}
	if s.from.QueryRowContext(ctx, "SELECT value FROM state NOT INDEXED WHERE name = 'pause'").Scan(&text) != nil || json.Unmarshal([]byte(text), p) != nil {
		return nil
	}
	return p
}
