package simulate

import (
	"encoding/csv"
	"fmt"
	"io"
	"time"

	"pfwarden/internal/report"
)

// WriteLabels writes labels.csv, as report.ReadLabels and `pfwarden replay --labels` read it.
func WriteLabels(w io.Writer, labels []report.Label) error {
	rows := csv.NewWriter(w)
	_ = rows.Write([]string{"address", "class", "want", "first", "last"}) // errors are kept until Error
	for _, l := range labels {
		want := "0"
		if l.Want {
			want = "1"
		}
		_ = rows.Write([]string{l.Address.String(), l.Class, want, l.First.UTC().Format(time.RFC3339Nano), l.Last.UTC().Format(time.RFC3339Nano)})
	}
	rows.Flush()
	if err := rows.Error(); err != nil {
		return fmt.Errorf("writing labels: %w", err)
	}
	return nil
}
