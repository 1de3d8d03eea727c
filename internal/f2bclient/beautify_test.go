package f2bclient

import (
	"encoding/json"
	"testing"

	"pfwarden/internal/testkit"
)

func TestRecordedBeautify(t *testing.T) {
	type call struct {
		Test     string
		Cmd      []string
		Response json.RawMessage
		Result   string
	}
	testkit.EachRecord(t, "data/fail2ban/units_beautify.jsonl", func(_ int, c call) {
		answer, err := Decode(c.Response)
		if err != nil {
			t.Fatal(err)
		}
		if list, ok := answer.([]any); ok && len(list) == 1 {
			if inner, ok := list[0].([]any); ok && len(inner) == 0 {
				answer = []any{"file://test/file-ipaddr-set"} // an object of fail2ban's, of which the recording kept only that it is empty
			}
		}
		if got := Beautify(c.Cmd, answer, Options{}); got != c.Result {
			t.Errorf("%s %v:\n%s\nwant\n%s", c.Test, c.Cmd, got, c.Result)
		}
	})
}

func TestRepr(t *testing.T) {
	for want, v := range map[string]any{
		"None": nil, "True": true, "-1": float64(-1), "0.5": 0.5, `'a'`: "a", `"it's"`: "it's", `'it\'s "x"'`: `it's "x"`, `'a\nb\\'`: "a\nb\\",
		`'é'`: "é", `['a', 1, [], {'k': 'v'}]`: []any{"a", float64(1), []any{}, Dict{{"k", "v"}}},
	} {
		if got := Repr(v); got != want {
			t.Errorf("Repr(%v) = %s, want %s", v, got, want)
		}
	}
}

// TestStatsTable draws the table as a terminal shows it.
func TestStatsTable(t *testing.T) {
	got := Beautify([]string{"stats"}, Dict{{"sshd", []any{"polling", []any{0, 6}, []any{2, 2}}}, {"web", []any{"polling", []any{0, 6}, []any{2, 2}}}}, Options{Boxes: true})
	want := "          ║          ║ Filter    ║ Actions  \n" +
		" Jail     ║ Backend  ╟───────────╫───────────\n" +
		"          ║          ║ cur │ tot ║ cur │ tot\n" +
		"══════════╬══════════╬═══════════╬═══════════\n" +
		" sshd     ║ polling  ║   0 │   6 ║   2 │   2\n" +
		" web      ║ polling  ║   0 │   6 ║   2 │   2\n" +
		"══════════╩══════════╩═══════════╩═══════════"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"a":[1,null,{"b":true}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Decode(text)
		if err == nil {
			_ = Beautify([]string{"status"}, v, Options{})
			_ = Beautify([]string{"status", "--all"}, v, Options{})
			_ = Beautify([]string{"stats"}, v, Options{})
			_ = Beautify([]string{"get", "x", "datepattern"}, v, Options{})
		}
	})
}
