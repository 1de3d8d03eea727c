package config

import (
	"strings"
	"testing"
)

// TestMoved: whoever is refused a reload is told each key, where it stands, what it says, what it said, and what to do.
func TestMoved(t *testing.T) {
	parse := func(text string, set ...string) *Config {
		t.Helper()
		c, err := Parse("/etc/pfwarden.toml", []byte(text), Options{OS: "openbsd", Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const before = "observe = true\n[pf]\nanchor = \"a\"\nreconcile = \"2m\"\n"
	const help = ": this cannot change while pfwarden runs: restart it, or put the old value back"
	for _, c := range []struct {
		name, after string
		set         []string
		want        []string
	}{
		{"nothing", before, nil, nil},
		{"what may change", before + "[defaults]\nmaxretry = 7\n", nil, nil},
		{"a line further down", "\n" + before, nil, nil},
		{"one key", "observe = true\n\n[pf]\nanchor = \"b\"\nreconcile = \"2m\"\n", nil, []string{`/etc/pfwarden.toml:4: pf.anchor: "b" instead of "a"`}},
		{"a key taken out", "[pf]\nanchor = \"a\"\nreconcile = \"2m\"\n", nil, []string{`/etc/pfwarden.toml:1: observe: false, the default, instead of true`}},
		{"on the command line", before, []string{"pf.anchor=c"}, []string{`--set:1: pf.anchor: "c" instead of "a"`}},
		{"two", "observe = true\n[pf]\nanchor = \"b\"\nreconcile = \"3m\"\n", nil, []string{`/etc/pfwarden.toml:3: pf.anchor: "b" instead of "a"`, `/etc/pfwarden.toml:4: pf.reconcile: 3m instead of 2m`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := parse(before).Pinned().Moved(parse(c.after, c.set...).Pinned())
			if len(c.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if want := strings.Join(c.want, help+"\n") + help; err == nil || err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
	if err := parse(before).Pinned().Moved(parse("").Pinned(), "store.file"); err != nil {
		t.Errorf("of the keys that were asked for: %v", err)
	}
}
