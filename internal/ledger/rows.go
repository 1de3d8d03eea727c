package ledger

import (
	"context"
	sqldriver "database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// values are those of one row, as SQLite has them: int64, string, []byte or nil. They are good until the next row.
type values []sqldriver.Value

func (v values) int(i int) int64 {
	n, _ := v[i].(int64)
	return n
}

func (v values) bool(i int) bool { return v.int(i) != 0 }

func (v values) text(i int) string {
	switch s := v[i].(type) {
	case string:
		return s
	case []byte:
		return string(s)
	}
	return ""
}

// words keeps one copy of each of the few texts, and lists of reasons, that stand in very many rows.
type words struct {
	texts map[string]string
	lists map[string][]string
}

func newWords() words { return words{make(map[string]string), make(map[string][]string)} }

// maxWords bounds what is kept: beyond it texts are no longer few.
const maxWords = 4096

func (w words) one(s string) string {
	if s == "" {
		return ""
	}
	if known, ok := w.texts[s]; ok {
		return known
	}
	if len(w.texts) < maxWords {
		w.texts[s] = s
	}
	return s
}

// list reads a list of texts, which nobody may change.
func (w words) list(text string) ([]string, error) {
	if known, ok := w.lists[text]; ok {
		return known, nil
	}
	var list []string
	if text != "[]" {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, err
		}
	}
	if len(w.lists) < maxWords {
		w.lists[text] = list
	}
	return list, nil
}

// each calls f for every row. It asks the driver itself: database/sql's conversion of each value costs more than SQLite's reading of it, and
// a start reads very many.
func (db *DB) each(ctx context.Context, query string, args []any, f func(values) error) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.read == nil {
		return db.errClosed()
	}
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return fmt.Errorf("ledger %s: %w", db.options.Name, typed(err))
	}
	defer conn.Close()
	var stopped error // what f said: nothing that database/sql should judge
	err = conn.Raw(func(c any) error {
		stopped, err = rowsOf(ctx, c, query, args, f)
		return err
	})
	if err == nil {
		err = stopped
	}
	if err != nil {
		return fmt.Errorf("ledger %s: %w", db.options.Name, typed(err))
	}
	return nil
}

// rowsOf runs a query over a driver's connection. stopped is the error by which f ended it.
func rowsOf(ctx context.Context, c any, query string, args []any, f func(values) error) (stopped, err error) {
	queryer, ok := c.(sqldriver.QueryerContext)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's %T takes no queries", c)
	}
	named := make([]sqldriver.NamedValue, len(args))
	for i, a := range args {
		named[i].Ordinal = i + 1
		if named[i].Value, err = sqldriver.DefaultParameterConverter.ConvertValue(a); err != nil {
			return nil, err
		}
	}
	rows, err := queryer.QueryContext(ctx, query, named)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	v := make(values, len(rows.Columns()))
	for {
		switch err := rows.Next(v); {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		}
		if stopped = f(v); stopped != nil {
			return stopped, nil
		}
	}
}
