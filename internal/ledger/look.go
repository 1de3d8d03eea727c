package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Look opens the ledger at path to be read while no daemon uses it, and changes neither the file nor anything beside it: one that was closed in order
// is read as it is; of one that was not, a copy is read, with the journal that belongs to it, which Close removes. Writing is refused. Errors are
// those of Open, and fs.ErrNotExist.
func Look(path string) (*DB, error) {
	if driver == "" {
		return nil, errors.New("reading the ledger needs SQLite, which on this system needs a build with cgo (CGO_ENABLED=1)")
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file (%v): a ledger is not opened through links or devices", path, info.Mode().Type())
	case info.Size() < headerSize && nothing(path+"-wal"):
		return nil, fmt.Errorf("reading the ledger %s: %w: cut off, %d bytes are left", path, ErrCorrupt, info.Size())
	}
	db := &DB{path: path, options: Options{Now: time.Now, Wait: 250 * time.Millisecond, Log: slog.New(slog.DiscardHandler), Name: path, salvage: salvageTime}}
	how := unwritable
	if !db.wholeWithout() {
		if db.copied, err = os.MkdirTemp("", "pfwarden-ledger-"); err != nil {
			return nil, err
		}
		if db.path, err = copyWithJournal(path, db.copied); err != nil {
			return nil, errors.Join(fmt.Errorf("reading the ledger %s: %w", path, err), db.Close())
		}
		how = alone
	}
	if err := db.openAs(how, false); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the ledger %s: %w", path, err), db.Close())
	}
	return db, nil
}

// copyWithJournal copies a database and what SQLite needs beside it to bring it into order, and returns the copy's path.
func copyWithJournal(path, dir string) (string, error) {
	to := filepath.Join(dir, filepath.Base(path))
	for _, end := range [...]string{"-wal", "-journal", ""} {
		if end != "" && nothing(path+end) {
			continue
		}
		if err := copyFile(path+end, to+end); err != nil {
			return "", err
		}
	}
	return to, nil
}
