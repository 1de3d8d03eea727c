package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// way is how the file is opened.
type way int

const (
	// ordinary: readers beside a writer. With a write-ahead log that needs a file of 32 KiB that they share.
	ordinary way = iota
	// alone: one connection, which keeps others out and therefore what they would share in its memory (sqlite.org/wal.html#noshm). It makes the log
	// anew, without content, if it is not there.
	alone
	// unwritable: the file as it is, without a log.
	unwritable
)

// settings are those of a connection, for both drivers, without what the mode of the journal asks for.
func (w way) settings() url.Values {
	switch w {
	case alone:
		return url.Values{"_pragma": {"locking_mode(exclusive)"}, "_locking_mode": {"EXCLUSIVE"}} // modernc's and mattn's name for it
	case unwritable:
		return url.Values{"mode": {"ro"}, "immutable": {"1"}, "_query_only": {"1"}}
	}
	return url.Values{}
}

// connections makes them for writing, nil where that cannot be, and for reading; alone they are the same.
func (db *DB) connections(how way) (write, read *sql.DB, err error) {
	settings := how.settings()
	if how == unwritable {
		read, err = db.connect(settings)
		return nil, read, err
	}
	settings.Set("_synchronous", "FULL")
	settings.Set("_txlock", "immediate")
	if how == ordinary {
		settings.Set("_journal_mode", journalMode) // else it stays what it is: changing it writes
	}
	if write, err = db.connect(settings); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1) // one writer: SQLite has no more
	if how == alone {
		return write, write, nil
	}
	if read, err = db.connect(url.Values{"_query_only": {"1"}}); err != nil {
		return write, nil, err
	}
	read.SetMaxOpenConns(2)
	return write, read, nil
}

// Cramped says that the ledger is open although the disk has no room for what is needed beside it; nil = it is not so. Everything can be read then, or,
// where it would have to be begun, migrated or replaced, what can be read of it without room: all bans in force, of those that have ended the newest. What
// cannot be written is refused with ErrFull, and other programs may find the file locked. Once there is room, Widen ends that.
func (db *DB) Cramped() error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.cramped
}

// Widen opens a ledger that is Cramped as ever, if there is room by now; else it stays as it is, and the error wraps ErrFull. It is cheap where there is no
// room, and does nothing where the ledger is not Cramped. Where it has to be replaced it may take minutes; one call at a time.
func (db *DB) Widen(ctx context.Context) error {
	if db.Cramped() == nil {
		return nil
	}
	db.mu.RLock()
	s := db.standin
	db.mu.RUnlock()
	if s != nil {
		return db.widenFile(s)
	}
	if err := db.room(); err != nil {
		return fmt.Errorf("ledger %s: %w", db.options.Name, err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.cramped == nil || db.broken != nil { // the latter: Recover opens it
		return nil
	}
	_ = db.close() // what cannot be moved from the log to the file stays in the log
	err := db.attach(ctx, ordinary)
	if err == nil {
		err = db.readable(ctx)
	}
	if err == nil {
		db.cramped = nil
		return nil
	}
	_ = db.close()
	for _, how := range [...]way{alone, unwritable} {
		if how == unwritable && !db.wholeWithout() {
			continue
		}
		if db.attach(ctx, how) == nil && db.readable(ctx) == nil {
			break
		}
		_ = db.close() // the next call tries again
	}
	return fmt.Errorf("ledger %s: %w", db.options.Name, typed(err))
}

// openCramped opens the file without others beside it, since these failed with cause.
func (db *DB) openCramped(cause error) error {
	err := db.openAs(alone, false)
	if err != nil && db.noRoom(err) && db.wholeWithout() {
		cramped := err
		err = db.openAs(unwritable, false)
		if code, ok := resultCode(err); ok && code&0xff == codeReadOnly { // it was to be migrated
			err = cramped
		}
	}
	if err != nil {
		return err
	}
	if !errors.Is(cause, ErrFull) {
		cause = fmt.Errorf("%w: %w", ErrFull, cause)
	}
	db.cramped = fmt.Errorf("ledger %s: %w", db.options.Name, cause)
	return nil
}

// standsIn tells whether what failed did so because the disk is full, and whether what can be read of the ledger stands in for it in memory.
func (db *DB) standsIn(err error) bool {
	if !db.noRoom(err) || errors.Is(err, ErrLocked) {
		return false
	}
	e := db.standIn(err, db.corrupt)
	if e != nil {
		db.options.Log.Error("no ledger in memory either", "file", db.options.Name, "error", e)
	}
	return e == nil
}

// wholeWithout tells whether all of the ledger is in the file itself, so that it may be read without a journal.
func (db *DB) wholeWithout() bool { return nothing(db.path+"-wal") && nothing(db.path+"-journal") }

// noRoom tells whether what failed did so because the disk is full. SQLite does not tell it of a name that cannot be made.
func (db *DB) noRoom(err error) bool {
	if errors.Is(err, ErrFull) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return true
	}
	code, ok := resultCode(err)
	return ok && (code&0xff == codeNoFile || code&0xff == codeIO) && errors.Is(db.room(), ErrFull)
}

// roomBeside is what SQLite needs at least to write: 32 KiB for what readers and the writer share, and some pages of the log.
const roomBeside = 64 << 10

// room tells whether there is so much beside the ledger, by taking it for a moment.
func (db *DB) room() (err error) {
	f, err := os.CreateTemp(filepath.Dir(db.path), filepath.Base(db.path)+readInfix)
	if err == nil {
		_, err = f.Write(make([]byte, roomBeside))
		err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
