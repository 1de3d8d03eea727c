//go:build !openbsd && !netbsd

package ledger

// journalMode is SQLite's: a write-ahead log lets readers read while a ban is written.
const journalMode = "WAL"
