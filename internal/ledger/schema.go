package ledger

import (
	"context"
	"database/sql"
	"fmt"
)

// application marks the file as ours in its header (PRAGMA application_id): "pfwd".
const application = 0x70667764

// migrations bring a database from one version (PRAGMA user_version) to the next; index 0 makes version 1. Never change one that
// was released: add another.
//
// Times are microseconds since 1970, NULL or 0 where there is none; addresses are text as people write them, and their first
// address as 16 bytes, for ranges.
var migrations = [...]string{
	`CREATE TABLE bans (
		id       INTEGER PRIMARY KEY,
		prefix   TEXT NOT NULL,
		first    BLOB,
		ident    BLOB NOT NULL,
		scope    TEXT NOT NULL,
		tablename TEXT NOT NULL,
		jail     TEXT NOT NULL,
		proven   INTEGER NOT NULL,
		observed INTEGER NOT NULL,
		state    INTEGER NOT NULL,
		since    INTEGER NOT NULL,
		until    INTEGER NOT NULL,
		step     INTEGER NOT NULL,
		count    INTEGER NOT NULL,
		longer   INTEGER NOT NULL,
		by       TEXT NOT NULL,
		reasons  TEXT NOT NULL,
		story    TEXT NOT NULL,
		ended    INTEGER NOT NULL,
		end_why  TEXT NOT NULL,
		end_by   TEXT NOT NULL,
		forgiven INTEGER NOT NULL DEFAULT 0,
		packets  INTEGER NOT NULL,
		bytes    INTEGER NOT NULL,
		last_hit INTEGER NOT NULL
	) STRICT;
	CREATE INDEX bans_unsettled ON bans (id) WHERE state < 3;
	CREATE INDEX bans_prefix ON bans (prefix);
	CREATE INDEX bans_first ON bans (first);
	CREATE INDEX bans_since ON bans (since);
	CREATE INDEX bans_ended ON bans (ended) WHERE state = 3;
	CREATE TABLE never (
		prefix  TEXT PRIMARY KEY,
		since   INTEGER NOT NULL,
		by      TEXT NOT NULL,
		comment TEXT NOT NULL
	) STRICT;
	CREATE TABLE state (
		name  TEXT PRIMARY KEY,
		value TEXT NOT NULL
	) STRICT;
	CREATE TABLE snapshot (
		id       INTEGER PRIMARY KEY CHECK (id = 1),
		time     INTEGER NOT NULL,
		detector BLOB NOT NULL
	) STRICT;
	CREATE TABLE positions (
		path     BLOB PRIMARY KEY,
		identity BLOB NOT NULL,
		offset   INTEGER NOT NULL
	) STRICT;`,
	`ALTER TABLE bans ADD COLUMN base_packets INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE bans ADD COLUMN base_bytes INTEGER NOT NULL DEFAULT 0;`,
	// An index by name costs each ban more than the one by first address, which finds the same. Few bans are leaving at any time.
	`DROP INDEX bans_prefix;
	CREATE INDEX bans_leaving ON bans (id) WHERE state = 2;`,
	`ALTER TABLE snapshot ADD COLUMN waiting BLOB;`,
}

// identify looks whose database a file is before anything is written to it: one of another program's is left alone, one of ours whose header
// is damaged is corrupt.
func (db *DB) identify(ctx context.Context, how way) error {
	settings := how.settings()
	if how != unwritable {
		settings.Set("mode", "rw") // a crash's journal may have to be rolled back
	}
	d, err := db.connect(settings)
	if err != nil {
		return err
	}
	defer d.Close()
	d.SetMaxOpenConns(1)
	var id, version, tables, own int64
	for query, to := range map[string]*int64{
		"PRAGMA application_id": &id, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &tables,
		"SELECT count(*) FROM sqlite_schema WHERE name IN ('bans', 'positions', 'snapshot')": &own,
	} {
		if err := d.QueryRowContext(ctx, query).Scan(to); err != nil {
			return err
		}
	}
	switch {
	case tables == 0 && id == 0 && version == 0: // nothing was written yet
		return nil
	case id != application && own < 3:
		return fmt.Errorf("%w (application_id %d): it is left as it is; name another file", ErrForeign, id)
	case id != application, version < 1:
		return fmt.Errorf("%w: application_id %d and user_version %d are not those of a ledger", ErrCorrupt, id, version)
	}
	return nil
}

// whole looks whether everything that is read and written by name is there: SQLite's own check does not know what should be.
func whole(ctx context.Context, db *sql.DB) error {
	for _, query := range []string{
		"SELECT " + banColumns + ", story, first FROM bans", "SELECT prefix, since, by, comment FROM never", "SELECT name, value FROM state",
		"SELECT time, detector, waiting FROM snapshot", "SELECT path, identity, offset FROM positions",
		"SELECT id FROM bans INDEXED BY bans_unsettled WHERE state < 3", "SELECT id FROM bans INDEXED BY bans_since WHERE since > 0",
		"SELECT id FROM bans INDEXED BY bans_ended WHERE state = 3", "SELECT id FROM bans INDEXED BY bans_leaving WHERE state = 2",
	} {
		if _, err := db.ExecContext(ctx, "EXPLAIN "+query); err != nil {
			if code, ok := resultCode(err); ok && code&0xff == codeError {
				err = fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			return err
		}
	}
	return nil
}

// migrate brings the database to the newest version, each step in a transaction of its own.
func migrate(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("%w: version %d, this one knows up to %d: upgrade, or name another file", ErrNewer, version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			if code, ok := resultCode(err); ok && code&0xff == codeError { // what every database of that version has is not there
				err = fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			return fmt.Errorf("migrating to version %d: %w", version+1, err)
		}
		// PRAGMA takes no parameters; both values are ours.
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version+1, application)); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}
