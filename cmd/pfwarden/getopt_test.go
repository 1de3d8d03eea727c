package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	known := []option{{"conf", 'c', true}, {"count", 0, true}, {"dump", 0, false}, {"dump-pretty", 0, false}, {"test", 't', false}, {"", 'x', false}}
	for _, c := range []struct {
		name, args string
		getopt     []given
		getoptRest string
		optparse   []given
		rest       string
		fault      string // of both
	}{
		{name: "nothing"},
		{name: "joined value", args: "--conf=a=b", getopt: []given{{"conf", "a=b"}}, optparse: []given{{"conf", "a=b"}}},
		{name: "empty value", args: "--conf=", getopt: []given{{"conf", ""}}, optparse: []given{{"conf", ""}}},
		{name: "next word as value", args: "--conf -x", getopt: []given{{"conf", "-x"}}, optparse: []given{{"conf", "-x"}}},
		{name: "cut short", args: "--te", getopt: []given{{"test", ""}}, optparse: []given{{"test", ""}}},
		{name: "the whole name of one is the beginning of another", args: "--dump", getopt: []given{{"dump", ""}}, optparse: []given{{"dump", ""}}},
		{name: "letters together", args: "-txca", getopt: []given{{"test", ""}, {"x", ""}, {"conf", "a"}}, optparse: []given{{"test", ""}, {"x", ""}, {"conf", "a"}}},
		{name: "letter and next word", args: "-tc a b", getopt: []given{{"test", ""}, {"conf", "a"}}, getoptRest: "b", optparse: []given{{"test", ""}, {"conf", "a"}}, rest: "b"},
		{name: "after another word", args: "a -x b", getoptRest: "a -x b", optparse: []given{{"x", ""}}, rest: "a b"},
		{name: "after two dashes", args: "-x -- -t", getopt: []given{{"x", ""}}, getoptRest: "-t", optparse: []given{{"x", ""}}, rest: "-t"},
		{name: "a dash alone", args: "- -x", getoptRest: "- -x", optparse: []given{{"x", ""}}, rest: "-"},
		{name: "unknown", args: "--other", fault: "no such option: --other"},
		{name: "unknown letter", args: "-to", fault: "no such option: -o"},
		{name: "cut too short", args: "--co a", fault: "no such option: --co"},
		{name: "no name", args: "--=a", fault: "no such option: --"},
		{name: "no value", args: "--conf", fault: "--conf option requires 1 argument"},
		{name: "no value for a letter", args: "-tc", fault: "-c option requires 1 argument"},
		{name: "value for none", args: "--test=1", fault: "--test option does not take a value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range []struct {
				name string
				read func([]option, []string) ([]given, []string, error)
				want []given
				rest string
			}{{"getopt", getopt, c.getopt, c.getoptRest}, {"optparse", optparse, c.optparse, c.rest}} {
				list, rest, err := p.read(known, strings.Fields(c.args))
				if c.fault != "" {
					if err == nil || err.Error() != c.fault {
						t.Errorf("%s: error %v, want %q", p.name, err, c.fault)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", p.name, err)
				}
				if diff := cmp.Diff(p.want, list, cmp.AllowUnexported(given{}), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", p.name, diff)
				}
				if got := strings.Join(rest, " "); got != p.rest {
					t.Errorf("%s: rest %q, want %q", p.name, got, p.rest)
				}
			}
		})
	}
}
