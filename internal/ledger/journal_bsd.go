//go:build openbsd || netbsd

package ledger

// journalMode is SQLite's. On OpenBSD and NetBSD mapped files and written ones share no cache, and WAL has crashed there
// (superseriousbusiness/gotosocial#1710).
const journalMode = "TRUNCATE"
