package filter

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"pfwarden/capture"
)

// TestSamples runs annotated sample logs through already expanded definitions: the file that PFWARDEN_FILTER_SAMPLES names
// holds one stream of lines with one filter a line. Nothing of it is kept in this project.
func TestSamples(t *testing.T) {
	path := os.Getenv("PFWARDEN_FILTER_SAMPLES")
	if path == "" {
		t.Skip("PFWARDEN_FILTER_SAMPLES is not set")
	}
	zone := centralEurope(t)
	type stream struct {
		Name  string
		Def   Definition
		Lines []struct {
			Text   string
			File   string
			Expect map[string]any
		}
	}
	total, bad := 0, 0
	eachRecord(t, path, func(t *testing.T, _ int, s stream) {
		t.Run(s.Name, func(t *testing.T) {
			f, err := Compile(s.Def, Options{Location: zone, NoFindTime: true, AllRegex: true, RawHost: true})
			if err != nil {
				t.Fatal(err)
			}
			set := NewSet([]*Filter{f})
			now := time.Unix(1124013600, 0)
			for _, l := range s.Lines {
				total++
				var got []Candidate
				set.Match(capture.Line{Text: l.Text, Read: now}, now, func(_ int, c Candidate) { got = append(got, c) })
				if fault := judge(got, l.Expect, zone, s.Def.Logtype == "journal"); fault != "" {
					bad++
					t.Errorf("%s\n\t%s\n\texpected %v", fault, l.Text, l.Expect)
				}
			}
		})
	})
	t.Logf("%d expectations, %d not met", total, bad)
}

func centralEurope(t *testing.T) *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	return zone
}

func judge(got []Candidate, want map[string]any, zone *time.Location, journal bool) string {
	if m, _ := want["match"].(bool); !m {
		if len(got) > 0 {
			return fmt.Sprintf("matched by %d as %q", got[0].Regex, got[0].ID)
		}
		return ""
	}
	if len(got) != 1 {
		return fmt.Sprintf("%d candidates", len(got))
	}
	c := got[0]
	for k, v := range want {
		switch k {
		case "match", "desc", "constraint", "filter":
		case "time":
			at, err := time.ParseInLocation("2006-1-2T15:04:05", v.(string), zone)
			if err != nil {
				at, err = time.ParseInLocation("2006-1-2T15:04:05.999999", v.(string), zone)
			}
			if !journal && (err != nil || !c.Time.Truncate(time.Second).Equal(at.Truncate(time.Second))) {
				return fmt.Sprintf("time %v", c.Time.In(zone))
			}
		case "host":
			id := c.ID
			if h := c.Fields["host"]; h != "" {
				id = h
			}
			if id != v && !sameAddr(id, v.(string)) {
				return fmt.Sprintf("host %q", id)
			}
		case "attempts":
			if float64(c.Lines) != v {
				return fmt.Sprintf("attempts %d", c.Lines)
			}
		default:
			if list, ok := c.Lists[k]; ok {
				var wanted []string
				w, _ := v.([]any)
				for _, s := range w {
					wanted = append(wanted, fmt.Sprint(s))
				}
				have := slices.Sorted(slices.Values(list))
				if slices.Sort(wanted); !slices.Equal(have, wanted) {
					return fmt.Sprintf("%s %q", k, list)
				}
				continue
			}
			if v == nil {
				if c.Fields[k] != "" {
					return fmt.Sprintf("%s %q", k, c.Fields[k])
				}
				continue
			}
			if fmt.Sprint(v) != c.Fields[k] && !sameAddr(c.Fields[k], fmt.Sprint(v)) {
				return fmt.Sprintf("%s %q", k, c.Fields[k])
			}
		}
	}
	return ""
}

func sameAddr(a, b string) bool {
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	return err == nil && err2 == nil && x == y
}
