package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// A corrupt database is replaced in steps, of which each may be the last one before the process ends:
//
//  1. path.new is made, and filled with what can be read of path, which stays as it is. Its last row says that it is complete.
//  2. path is renamed to path.corrupt-TIME, then its journals.
//  3. path.new is renamed to path.
//
// Who opens path after an end in step 1 finds it corrupt, and begins anew; after one in step 2 finds no path, but a complete path.new, and goes on
// from there. The row stays until Settled, so that what follows from a replacement is not forgotten either.

const (
	newSuffix   = ".new"
	readInfix   = ".read-" // of copies that are made for reading
	replacedRow = "replaced"
)

// journals are the suffixes of what SQLite keeps beside a database.
var journals = [...]string{"-wal", "-shm", "-journal"}

// replacement is that row.
type replacement struct {
	Path  string
	Cause string
	Kept  Salvaged
}

func (r replacement) quarantine() *Quarantine {
	text := strings.TrimPrefix(r.Cause, ErrCorrupt.Error()+": ")
	return &Quarantine{Path: r.Path, Cause: fmt.Errorf("%w: %s", ErrCorrupt, text), Kept: r.Kept}
}

// Quarantined tells whether a corrupt database was put aside since Open began, or before, if nobody has called Settled since.
func (db *DB) Quarantined() (Quarantine, bool) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.quarantine == nil {
		return Quarantine{}, false
	}
	return *db.quarantine, true
}

// Settled says that everything was done that follows from what Quarantined tells, so that the next Open need not tell it again.
func (db *DB) Settled(ctx context.Context) error {
	return db.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM state WHERE name = ?", replacedRow)
		return err
	})
}

// Recover replaces a database that turned out corrupt while it was used by one that holds what can still be read of it. Whoever uses it knows
// what is in force, and records it again. Where it fails, all use of the database fails with ErrCorrupt until Recover is called again and does not.
func (db *DB) Recover(context.Context) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.replaceUsed(ErrCorrupt)
}

// Replace does the same with a database that turned out corrupt while it was read for the first time, as Open does: where the disk is full it is
// Cramped then.
func (db *DB) Replace(cause error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.replaceUsed(cause); err != nil && !db.standsIn(err) {
		return err
	}
	return nil
}

func (db *DB) replaceUsed(cause error) error {
	_ = db.close()
	var err error
	if db.broken == nil {
		db.broken = cause
		err = db.replace(cause)
	} else { // an attempt before has come to some step or other
		err = db.begin()
	}
	if err != nil {
		return fmt.Errorf("replacing the corrupt ledger %s: %w", db.options.Name, err)
	}
	db.broken = nil
	return nil
}

// begin opens the database, after it was replaced if it is corrupt.
func (db *DB) begin() error {
	db.sweep()
	if _, err := os.Lstat(db.path); errors.Is(err, fs.ErrNotExist) { // else what is there counts, whatever was begun
		if err := db.swap(); err != nil {
			return err
		}
	}
	err := db.openNoting()
	if err == nil && db.broken != nil && (db.quarantine == nil || db.quarantine.Path != db.aside) { // it is the old one still, whose corruption shows later
		_ = db.close()
		err = db.broken
	}
	if errors.Is(err, ErrCorrupt) {
		return db.replace(err)
	}
	return err
}

// openNoting opens the database and looks whether it has replaced a corrupt one.
func (db *DB) openNoting() error {
	if err := db.open(); err != nil {
		return err
	}
	var r replacement
	if readReplacement(context.Background(), db.read, &r) == nil {
		db.quarantine = r.quarantine()
	}
	return nil
}

// replace fills a new database with what can be read of the one that is there, and puts it in its place.
func (db *DB) replace(cause error) error {
	next := &DB{path: db.path + newSuffix, options: db.options}
	next.options.Name += newSuffix
	next.remove()
	db.aside = db.path + ".corrupt-" + db.options.Now().UTC().Format("20060102T150405.000000Z")
	r := replacement{Path: db.aside, Cause: cause.Error()}
	db.corrupt = cause
	db.options.Log.Error("ledger corrupt: a new one is begun", "file", db.options.Name, "cause", cause)
	err := next.open()
	if err == nil {
		err = next.fill(db.path, &r)
	}
	if err = errors.Join(err, next.close()); err != nil {
		next.remove()
		return fmt.Errorf("filling a new one: %w (begun for: %v)", err, cause) //nolint:errorlint // what keeps it from being replaced is what matters
	}
	db.options.Log.Warn("what could be read of the corrupt ledger is in the new one", "corrupt", r.Path, "kept", r.Kept.String())
	if err := db.swap(); err != nil {
		return err
	}
	return db.openNoting()
}

// fill salvages the database at a path, and marks this one as complete. After that all of it is in its file.
func (db *DB) fill(path string, r *replacement) error {
	ctx := context.Background()
	kept, err := db.salvage(path, 0)
	if err != nil {
		return err
	}
	r.Kept = kept
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = db.transactLocked(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", replacedRow, string(text))
		return err
	})
	if err != nil {
		return err
	}
	_ = db.read.Close()
	db.read = nil
	var busy, pages, moved int
	if err := db.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
		return typed(err)
	}
	if busy != 0 {
		return fmt.Errorf("%w: its journal cannot be written back", ErrLocked)
	}
	return nil
}

// swap puts a complete new database, if there is one, in the place of the old one, as far as that has not been done. The old file goes first: as
// long as it is there, the next start finds it corrupt, and its journals are of no use without it.
func (db *DB) swap() error {
	next := db.path + newSuffix
	r, err := db.complete(next)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errIncomplete): // its first steps are all that was done; somebody took the old one away
		(&DB{path: next}).remove()
		return nil
	case err != nil:
		return fmt.Errorf("looking at %s: %w", next, err)
	}
	for _, suffix := range append([]string{""}, journals[:]...) {
		if err := os.Rename(db.path+suffix, r.Path+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("putting the corrupt file aside: %w", err)
		}
		if suffix == "" {
			syncFolder(db.path)
		}
	}
	syncFolder(db.path)
	if err := os.Rename(next, db.path); err != nil {
		return fmt.Errorf("putting the new file in its place: %w", err)
	}
	syncFolder(db.path)
	return nil
}

var errIncomplete = errors.New("not complete")

// complete reads of a new database whose place it is to take.
func (db *DB) complete(path string) (r replacement, err error) {
	if _, err := os.Lstat(path); err != nil {
		return r, err
	}
	d, err := db.connectTo(path, url.Values{"mode": {"ro"}, "immutable": {"1"}, "_query_only": {"1"}})
	if err != nil {
		return r, err
	}
	defer d.Close()
	err = readReplacement(context.Background(), d, &r)
	code, _ := resultCode(err)
	if errors.Is(err, sql.ErrNoRows) || errors.Is(typed(err), ErrCorrupt) || code&0xff == codeError { // the last: it has no tables yet
		err = errIncomplete
	}
	return r, err
}

func readReplacement(ctx context.Context, d *sql.DB, r *replacement) error {
	var text string
	if err := d.QueryRowContext(ctx, "SELECT value FROM state WHERE name = ?", replacedRow).Scan(&text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), r)
}

// syncFolder has renamings survive a power cut, where the file system can.
func syncFolder(path string) {
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
}

// remove deletes a database.
func (db *DB) remove() {
	for _, suffix := range append([]string{""}, journals[:]...) {
		_ = os.Remove(db.path + suffix)
	}
}

// sweep deletes copies that a process left which was killed while it read them.
func (db *DB) sweep() {
	list, err := os.ReadDir(filepath.Dir(db.path))
	if err != nil {
		return
	}
	base := filepath.Base(db.path)
	for _, e := range list {
		name := e.Name()
		if rest, ok := strings.CutPrefix(name, base); ok && e.Type().IsRegular() &&
			(strings.HasPrefix(rest, readInfix) || strings.HasPrefix(rest, ".corrupt-") && strings.Contains(rest, readInfix)) {
			_ = os.Remove(filepath.Join(filepath.Dir(db.path), name))
		}
	}
}
