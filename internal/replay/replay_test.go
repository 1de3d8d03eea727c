package replay

import (
	"context"
	"io"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/sample"
	"pfwarden/internal/warden"
)

// sampleInputs are the bundled samples.
func sampleInputs() []Input {
	var in []Input
	for _, name := range sample.Inputs() {
		in = append(in, Input{Name: name, Modified: sample.Date().Add(24 * time.Hour), Open: func() (io.ReadCloser, error) {
			return sample.Files().Open(name)
		}})
	}
	return in
}

func TestSamples(t *testing.T) {
	var events []warden.Event
	totals, err := Run(context.Background(), Options{
		Config: config.Default("openbsd"), Inputs: sampleInputs(), Location: time.UTC, Seed: 1, Watch: []string{sample.Interface},
		OnEvent: func(e warden.Event) { events = append(events, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", totals)
	for _, e := range events {
		t.Log(e.Time.Format(time.TimeOnly), e.Kind, e.Ban.Prefix, e.Ban.Table, e.Ban.Jail, e.Why, e.Ban.Reasons)
	}
}
