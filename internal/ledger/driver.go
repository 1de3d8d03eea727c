package ledger

// Driver says which SQLite this build has: "modernc.org/sqlite", "mattn/go-sqlite3" or "none".
func Driver() string {
	switch driver {
	case "sqlite":
		return "modernc.org/sqlite"
	case "":
		return "none"
	default:
		return "mattn/go-sqlite3"
	}
}
