package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Options of Open.
type Options struct {
	// Now names files that are put aside; nil = time.Now.
	Now func() time.Time
	// Wait is how long a call waits for another process that holds the database, 0 = a quarter of a second.
	Wait time.Duration
	Log  *slog.Logger
	// Name is how errors call the file, where others find it under another path than this process does; "" = its path.
	Name string

	salvage time.Duration // how long the history of a corrupt one may be read, 0 = salvageTime
}

// Quarantine tells that the database was corrupt and was put aside, and a new one begun with what could still be read of it: bans in force
// that are not among that have to be learnt again from PF's tables (warden.Adopt).
type Quarantine struct {
	Path  string // of the corrupt file, kept for inspection
	Cause error
	Kept  Salvaged
}

// DB is a Store in an SQLite file.
type DB struct {
	path    string
	options Options

	mu          sync.RWMutex // held for reading by every call, for writing while the database is replaced
	write, read *sql.DB
	quarantine  *Quarantine
	broken      error      // why the database was found corrupt, while it could not be replaced yet
	aside       string     // where it was put, or would have been
	corrupt     error      // why a replacement was begun
	cramped     error      // why it is used without files beside it, or not at all; see Cramped
	standin     *makeshift // what is read instead of the file; nil = the file
	copied      string     // the folder of the copy that is read, see Look; "" = none
}

var _ Store = (*DB)(nil)

// Open opens the ledger at path, which is made (mode 0600, in a folder of mode 0750) if it is not there, and brings its layout up to
// date. Of a corrupt one all that can be read is put into a new one, and it is renamed to path.corrupt-TIME; see Quarantined. One for which
// there is no room on the disk is opened all the same, one that would have to be begun, migrated or replaced as what can be read of it; see
// Cramped. Errors are ErrNewer, ErrForeign, ErrLocked, ErrFull, or the operating system's.
func Open(path string, options Options) (*DB, error) {
	if driver == "" {
		return nil, errors.New("the ledger needs SQLite, which on this system needs a build with cgo (CGO_ENABLED=1): store.file cannot be opened")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Wait <= 0 {
		options.Wait = 250 * time.Millisecond
	}
	if options.Log == nil {
		options.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if options.salvage <= 0 {
		options.salvage = salvageTime
	}
	if options.Name == "" {
		options.Name = path
	}
	db := &DB{path: path, options: options}
	if err := db.begin(); err != nil && !db.standsIn(err) {
		return nil, fmt.Errorf("opening the ledger %s: %w", options.Name, err)
	}
	return db, nil
}

// Close ends all use.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.broken = nil
	err := db.close()
	if db.copied != "" {
		err = errors.Join(err, os.RemoveAll(db.copied))
		db.copied = ""
	}
	return err
}

func (db *DB) close() error {
	var errs []error
	for _, d := range []*sql.DB{db.read, db.write} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if db.standin != nil {
		errs = append(errs, db.standin.hold.Close())
	}
	db.read, db.write, db.standin = nil, nil, nil
	return errors.Join(errs...)
}

// open opens the file as it is, where the disk is full without files beside it.
func (db *DB) open() error {
	made, err := prepare(db.path)
	if err != nil {
		return err
	}
	db.cramped = nil
	err = db.openAs(ordinary, made)
	if err != nil && made {
		_ = os.Remove(db.path) // else it would be taken for one that was cut off
	}
	if err == nil || made || !db.noRoom(err) {
		return err
	}
	return db.openCramped(err)
}

// openAs opens the file in one of the ways, and looks whether it is a sound ledger.
func (db *DB) openAs(how way, made bool) (err error) {
	defer func() {
		if err != nil {
			_ = db.close()
			if code, ok := resultCode(err); ok && code&0xff == codeError && !made { // such as "unsupported file format": our statements are right, the file is not
				err = fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			err = typed(err)
		}
	}()
	ctx := context.Background()
	if !made {
		if err := db.identify(ctx, how); err != nil {
			return err
		}
		if how != unwritable {
			if err := writable(db.path); err != nil {
				return err
			}
		}
	}
	if err := db.attach(ctx, how); err != nil {
		return err
	}
	d := db.write
	if d == nil {
		d = db.read
	}
	if err := check(ctx, d); err != nil {
		return err
	}
	if err := migrate(ctx, d); err != nil {
		return err
	}
	if err := whole(ctx, d); err != nil {
		return err
	}
	return db.readable(ctx)
}

// attach makes the connections. They open the file when they are used first.
func (db *DB) attach(ctx context.Context, how way) (err error) {
	if db.write, db.read, err = db.connections(how); err != nil {
		return err
	}
	if db.write == nil {
		return nil
	}
	_, err = db.write.ExecContext(ctx, floodSettings)
	return err
}

// readable tells whether the reading connection works.
func (db *DB) readable(ctx context.Context) error {
	var n int
	return db.read.QueryRowContext(ctx, "SELECT count(*) FROM state").Scan(&n)
}

// floodSettings keep a flood of bans in memory until its transaction ends, in KiB, and let several transactions, in pages of 4 KiB, be copied
// into the file at once; what undoes a single statement never needs a file. They cost nothing while there is no flood.
const floodSettings = "PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096; PRAGMA temp_store = MEMORY"

// prepare makes folder and file with narrow modes before SQLite would make them with wide ones. A symbolic link is not followed. A file that is
// shorter than SQLite's header is none that was closed in order.
func prepare(path string) (made bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return false, err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return false, err
		}
		return true, f.Close()
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is no regular file (%v): a ledger is not opened through links or devices", path, info.Mode().Type())
	case info.Size() < headerSize && nothing(path+"-wal"):
		return false, fmt.Errorf("%w: cut off, %d bytes are left", ErrCorrupt, info.Size())
	case info.Mode().Perm()&0o077 != 0:
		return false, os.Chmod(path, 0o600)
	}
	return false, nil
}

// headerSize is that of the header of SQLite's files, in bytes (sqlite.org/fileformat.html).
const headerSize = 100

// writable looks at the version of SQLite's file format for writing: where that is higher than SQLite knows, it reads the file and refuses to write to it.
func writable(path string) error {
	const at, newest = 18, 2 // sqlite.org/fileformat.html
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var version [1]byte
	if _, err := f.ReadAt(version[:], at); err == nil && version[0] > newest { // a shorter file has all of its pages in the journal
		return fmt.Errorf("%w: format %d for writing, where SQLite knows those up to %d", ErrCorrupt, version[0], newest)
	}
	return nil
}

// nothing tells whether a file is not there, or empty.
func nothing(path string) bool {
	info, err := os.Lstat(path)
	return err != nil || info.Size() == 0
}

// connect gives a pool of connections. Both drivers read the same settings from the name.
func (db *DB) connect(settings url.Values) (*sql.DB, error) { return db.connectTo(db.path, settings) }

func (db *DB) connectTo(path string, settings url.Values) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	settings.Set("_busy_timeout", strconv.FormatInt(db.options.Wait.Milliseconds(), 10))
	u := url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}
	return sql.Open(driver, u.String())
}

// check looks for corruption, in time that grows with the file but without comparing every index.
func check(ctx context.Context, d *sql.DB) error {
	var answer string
	if err := d.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&answer); err != nil {
		return err
	}
	if answer != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, answer)
	}
	return nil
}

// SQLite's primary result codes that a caller can act on (sqlite.org/rescode.html).
const (
	codeError    = 1
	codeBusy     = 5
	codeReadOnly = 8
	codeLocked   = 6
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeNoShm    = 10 | 19<<8 // SQLITE_IOERR_SHMSIZE: no room for the index of the journal
	codeNoFile   = 14         // SQLITE_CANTOPEN: also where the file system has no room for another name
	codeNotADB   = 26
)

// typed wraps SQLite's errors in ours.
func typed(err error) error {
	code, ok := resultCode(err)
	if !ok {
		return err
	}
	if code == codeNoShm { // a few pages more of a sound file: what fails is finding room for them
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	switch code & 0xff {
	case codeBusy, codeLocked:
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case codeFull:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case codeCorrupt, codeNotADB:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
