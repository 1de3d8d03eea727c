package fail2ban

import (
	"encoding/json"
	"testing"

	"pfwarden/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

func TestRecordedSeconds(t *testing.T) {
	type row struct {
		In     string
		Result float64
		Error  *string
	}
	testkit.EachRecord(t, "data/fail2ban/units_str2sec.jsonl", func(_ int, c row) {
		got, err := Seconds(c.In)
		if (err != nil) != (c.Error != nil) || got != c.Result {
			t.Errorf("Seconds(%q) = %v, %v; want %v", c.In, got, err, c.Result)
		}
	})
}

func TestRecordedOptions(t *testing.T) {
	type row struct {
		Fn     string
		Args   []string
		Result json.RawMessage
		Error  *string
	}
	testkit.EachRecord(t, "data/fail2ban/units_options.jsonl", func(_ int, c row) {
		switch c.Fn {
		case "extractOptions":
			name, given, err := extractOptions(c.Args[0])
			if c.Error != nil {
				if err == nil || "ValueError: "+err.Error() != *c.Error {
					t.Errorf("extractOptions(%q): error %v, want %s", c.Args[0], err, *c.Error)
				}
				return
			}
			var want [2]any
			testkit.Must(t, json.Unmarshal(c.Result, &want))
			got := map[string]any{}
			for _, p := range given {
				got[p.key] = p.value
			}
			if err != nil || name != want[0] || !cmp.Equal(got, want[1]) {
				t.Errorf("extractOptions(%q) = %q %v %v, want %v", c.Args[0], name, got, err, want)
			}
		case "splitWithOptions":
			var want []string
			testkit.Must(t, json.Unmarshal(c.Result, &want))
			if got := splitWithOptions(c.Args[0]); !cmp.Equal(got, want) && len(got)+len(want) > 0 {
				t.Errorf("splitWithOptions(%q) = %q, want %q", c.Args[0], got, want)
			}
		default:
			t.Errorf("unknown function %s", c.Fn)
		}
	})
}

func TestRecordedWords(t *testing.T) {
	type row struct {
		Args   []*string
		Kw     struct{ IgnoreComments bool }
		Result []string
	}
	testkit.EachRecord(t, "data/fail2ban/units_splitwords.jsonl", func(_ int, c row) {
		in := ""
		if c.Args[0] != nil {
			in = *c.Args[0]
		}
		if got := splitWords(in, c.Kw.IgnoreComments); !cmp.Equal(got, c.Result) && len(got)+len(c.Result) > 0 {
			t.Errorf("splitWords(%q) = %q, want %q", in, got, c.Result)
		}
	})
}

func TestRecordedTags(t *testing.T) {
	type row struct {
		Args   []json.RawMessage
		Result json.RawMessage
		Error  *string
	}
	testkit.EachRecord(t, "data/fail2ban/units_tags.jsonl", func(_ int, c row) {
		var in, want map[string]string
		if json.Unmarshal(c.Args[0], &in) != nil {
			return // a Python object of its tests, no configuration
		}
		set := newTagSet()
		for name, value := range in {
			set.set(name, value)
		}
		err := set.substitute(func(tag string) bool { return tag == "matches" }, nil)
		if c.Error != nil {
			if err == nil {
				t.Errorf("%s: got %v, want %s", c.Args[0], set.values, *c.Error)
			}
			return
		}
		testkit.Must(t, json.Unmarshal(c.Result, &want))
		if err != nil || !cmp.Equal(set.values, want) {
			t.Errorf("%s: got %v, %v", c.Args[0], cmp.Diff(want, set.values), err)
		}
	})
}
