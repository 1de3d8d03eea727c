package filter

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/internal/testkit"
)

// data is a candidate's fields as fail2ban shows them.
func data(c Candidate) map[string]any {
	out := map[string]any{"attempts": float64(c.Lines)}
	for k, v := range c.Fields {
		out[k] = v
	}
	for k, v := range c.Lists {
		list := []any{}
		for _, s := range v {
			list = append(list, s)
		}
		out[k] = list
	}
	return out
}

func TestRecordedEngine(t *testing.T) {
	t.Parallel()
	type record struct {
		Name, Prefregex, Usedns string
		Failregex, Ignoreregex  []string
		Maxlines                int
		Lines                   []string
		Results                 [][][]any
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	testkit.EachRecord(t, "data/fail2ban/units_engine.jsonl", func(_ int, r record) {
		t.Run(r.Name, func(t *testing.T) {
			f, err := Compile(Definition{Failregex: r.Failregex, Ignoreregex: r.Ignoreregex, Prefregex: r.Prefregex, UseDNS: r.Usedns, MaxLines: r.Maxlines},
				Options{Location: time.UTC})
			if err != nil {
				t.Fatal(err)
			}
			set := NewSet([]*Filter{f})
			set.SetPhase(Operation)
			for i, line := range r.Lines {
				var got [][]any
				set.Match(capture.Line{Text: line}, now, func(_ int, c Candidate) {
					got = append(got, []any{c.ID, data(c)})
				})
				want := r.Results[i]
				if len(want) == 0 {
					want = nil
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("line %d %q (-want +got):\n%s", i, line, diff)
				}
			}
		})
	})
}

func TestRecordedTimeRule(t *testing.T) {
	t.Parallel()
	type record struct {
		Findtime    int
		InOperation bool `json:"in_operation"`
		Offset      *int
		HasDate     bool `json:"has_date"`
		Result      any
	}
	now := time.Unix(1795355459, 0)
	testkit.EachRecord(t, "data/fail2ban/units_timerule.jsonl", func(n int, r record) {
		rule := timeRule{FindTime: time.Duration(r.Findtime) * time.Second}
		if r.InOperation {
			rule.Phase = Operation
		}
		s := timeStamp{Found: r.HasDate}
		if r.Offset != nil {
			s.Time = now.Add(time.Duration(*r.Offset) * time.Second)
		}
		res := rule.resolve(s, now)
		var got any = "ignored"
		if res.OK && !res.TooOld {
			got = res.Time.Sub(now).Seconds()
		}
		if diff := cmp.Diff(r.Result, got); diff != "" {
			t.Errorf("record %d %+v (-want +got):\n%s", n, r, diff)
		}
	})
}

func TestRecordedTimesOfManyLines(t *testing.T) {
	t.Parallel()
	type record struct {
		Findtime    int
		InOperation bool `json:"in_operation"`
		Datepattern string
		Failregex   string
		Lines       [][2]any
		Times       []*float64
	}
	testkit.EachRecord(t, "data/fail2ban/units_mltime.jsonl", func(n int, r record) {
		f, err := Compile(Definition{Failregex: []string{r.Failregex}, Datepattern: r.Datepattern}, Options{FindTime: time.Duration(r.Findtime) * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		set := NewSet([]*Filter{f})
		if r.InOperation {
			set.SetPhase(Operation)
		}
		for i, line := range r.Lines {
			var got *float64
			set.Match(capture.Line{Text: line[1].(string)}, time.Unix(int64(line[0].(float64)), 0), func(_ int, c Candidate) {
				v := float64(c.Time.Unix())
				got = &v
			})
			if diff := cmp.Diff(r.Times[i], got); diff != "" {
				t.Errorf("record %d line %d %v (-want +got):\n%s", n, i, line, diff)
			}
		}
	})
}
