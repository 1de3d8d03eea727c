package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
)

// A ledger that has to be begun, migrated or replaced cannot be used on a full disk. What can be read of it is put into a database in memory then, which
// is only read: to write is refused with ErrFull, as where there is no room beside a sound ledger, so that whoever writes keeps it until there is room.
// Widen then begins, migrates or replaces the file.

const (
	// makeshiftEnded is how many bans that have ended are held in memory, the newest, without their stories.
	makeshiftEnded = 50_000
	// unknownIDs is how many may have been given to bans that cannot be read of a damaged ledger, but perhaps once there is room to work in: none of them
	// may be given again.
	unknownIDs = 1 << 32
	// mostSkipped bounds how many calls of Widen do nothing after one that failed for want of more room.
	mostSkipped = 512
)

// makeshift is that database.
type makeshift struct {
	hold    *sql.DB // keeps it from vanishing
	corrupt error   // why the file has to be replaced; nil = it has not
	skip    int     // calls of Widen that are to do nothing
	skipped int
}

// standIn opens the ledger in memory, since the file cannot be used for cause. The caller holds the lock, or is alone.
func (db *DB) standIn(cause, corrupt error) (err error) {
	name := (&url.URL{Scheme: "file", Opaque: fmt.Sprintf("pfwarden-%p", db), RawQuery: url.Values{"mode": {"memory"}, "cache": {"shared"}}.Encode()}).String()
	next := &DB{path: db.path, options: db.options}
	if next.write, err = sql.Open(driver, name); err != nil {
		return err
	}
	next.write.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			_ = next.close()
		}
	}()
	ctx := context.Background()
	if corrupt == nil {
		if err = next.takeFile(ctx); errors.Is(err, ErrCorrupt) {
			corrupt = err
		} else if err != nil {
			return err
		}
	}
	var kept Salvaged
	if corrupt != nil {
		if err = migrate(ctx, next.write); err != nil {
			return err
		}
		if kept, err = next.salvage(db.path, makeshiftEnded); err != nil {
			return err
		}
	}
	if next.read, err = sql.Open(driver, name); err != nil {
		return err
	}
	next.read.SetMaxOpenConns(2)
	if err = next.readable(ctx); err != nil {
		return err
	}
	if !errors.Is(cause, ErrFull) {
		cause = fmt.Errorf("%w: %w", ErrFull, cause)
	}
	_ = db.close()
	db.read, db.standin = next.read, &makeshift{hold: next.write, corrupt: corrupt}
	db.broken, db.cramped = nil, fmt.Errorf("ledger %s: %w", db.options.Name, cause)
	if corrupt != nil {
		db.quarantine = &Quarantine{Path: db.path, Cause: corrupt, Kept: kept}
	}
	return nil
}

// takeFile fills the database with what is in the file, and brings it to the newest version. Where there is no file it is empty.
func (db *DB) takeFile(ctx context.Context) error {
	if _, err := os.Lstat(db.path); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(db.path + newSuffix); !errors.Is(err, fs.ErrNotExist) { // it is to take its place first
			return fmt.Errorf("%s%s waits to take the place of %s", db.path, newSuffix, db.path)
		}
		return migrate(ctx, db.write)
	}
	old := &DB{path: db.path, options: db.options}
	defer func() { _ = old.close() }()
	err := old.attachOld(ctx, alone)
	if err != nil && old.wholeWithout() {
		_ = old.close()
		err = old.attachOld(ctx, unwritable)
	}
	if err != nil {
		return typed(err)
	}
	var version int
	if err := old.read.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return typed(err)
	}
	if version > len(migrations) {
		return fmt.Errorf("%w: version %d, this one knows up to %d", ErrNewer, version, len(migrations))
	}
	if _, err := db.write.ExecContext(ctx, strings.Join(migrations[:version], "\n")+fmt.Sprintf("; PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	if version > 0 {
		for _, table := range [...]string{"bans", "never", "state", "snapshot", "positions"} {
			if err := db.copyTable(ctx, old.read, table); err != nil {
				return typed(err)
			}
		}
	}
	return migrate(ctx, db.write)
}

// attachOld opens a file of any version for reading, if it is a sound ledger.
func (db *DB) attachOld(ctx context.Context, how way) error {
	if err := db.identify(ctx, how); err != nil {
		return err
	}
	if err := db.attach(ctx, how); err != nil {
		return err
	}
	return check(ctx, db.read)
}

// copyTable copies the rows of a table that has the same columns.
func (db *DB) copyTable(ctx context.Context, from *sql.DB, table string) error {
	var names string
	if err := db.write.QueryRowContext(ctx, "SELECT group_concat(name) FROM pragma_table_info(?)", table).Scan(&names); err != nil {
		return err
	}
	columns, where := names, ""
	if table == "bans" {
		columns = strings.Replace(names, "story", "CASE WHEN state < 3 THEN story ELSE '' END", 1)
		where = fmt.Sprintf(" WHERE state < 3 OR id IN (SELECT id FROM bans WHERE state >= 3 ORDER BY id DESC LIMIT %d)", makeshiftEnded)
	}
	rows, err := from.QueryContext(ctx, "SELECT "+columns+" FROM "+table+where)
	if err != nil {
		if code, ok := resultCode(err); ok && code&0xff == codeError { // what every database of that version has is not there
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return err
	}
	defer rows.Close()
	n := strings.Count(names, ",") + 1
	values, places := make([]any, n), make([]any, n)
	for i := range values {
		places[i] = &values[i]
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+table+" ("+names+") VALUES (?"+strings.Repeat(", ?", n-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok && len(b) == 0 {
				values[i] = []byte{} // a nil slice would be NULL
			}
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return tx.Commit()
}

// widenFile begins, migrates or replaces the file that memory stands in for, if there is room by now.
func (db *DB) widenFile(s *makeshift) error {
	if s.skipped < s.skip {
		s.skipped++
		return db.Cramped()
	}
	if err := db.room(); err != nil && !errors.Is(err, fs.ErrNotExist) { // else its folder is made, too
		return fmt.Errorf("ledger %s: %w", db.options.Name, err)
	}
	next := &DB{path: db.path, options: db.options}
	var err error
	if _, e := os.Lstat(db.path); s.corrupt != nil && e == nil {
		err = next.replace(s.corrupt)
	} else {
		err = next.begin()
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if err != nil {
		s.skip, s.skipped = min(2*s.skip+1, mostSkipped), 0
		return fmt.Errorf("ledger %s: %w", db.options.Name, err)
	}
	if db.standin != s { // closed meanwhile
		return next.close()
	}
	_ = db.close()
	db.write, db.read, db.quarantine, db.cramped = next.write, next.read, next.quarantine, next.cramped
	return nil
}
