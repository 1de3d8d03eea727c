package ledger

import (
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
)

// OpenForeign opens another program's SQLite database for reading only.
func OpenForeign(path string) (*sql.DB, error) {
	if driver == "" {
		return nil, errors.New("this build has no SQLite")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{"mode": {"ro"}}.Encode()}
	return sql.Open(driver, u.String())
}
