package hooks

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pfwarden/internal/testkit"
)

// TestRecordedReplaceTag compares with what fail2ban makes of the same commands.
func TestRecordedReplaceTag(t *testing.T) {
	type replacement struct {
		Test, Query, Conditional string
		Tags                     map[string]any
		Result                   string
		Error                    *string
	}
	testkit.EachRecord(t, "data/fail2ban/units_replacetag.jsonl", func(_ int, c replacement) {
		tags := make(map[string]string)
		if len(c.Tags) == 0 && c.Result != c.Query {
			// Of an ignore command: its ticket was not recorded; the address in it was that which stands first in the outcome.
			tags["ip"] = regexp.MustCompile(`[0-9]+(\.[0-9]+){3}`).FindString(c.Result)
		}
		for k, v := range c.Tags {
			switch v := v.(type) {
			case float64:
				tags[k] = strconv.FormatFloat(v, 'f', -1, 64)
			case bool:
				tags[k] = map[bool]string{true: "True", false: "False"}[v]
			default:
				tags[k] = fmt.Sprint(v)
			}
		}
		got, err := replaceStatic(c.Query, tags, c.Conditional, hostNames)
		if (err != nil) != (c.Error != nil) || got != c.Result {
			t.Errorf("%s: %q with %v %q:\n got %q, %v\nwant %q, %v", c.Test, c.Query, c.Tags, c.Conditional, got, err, c.Result, c.Error)
		}
	})
}

// TestHostileValues lets a shell run commands with values that would be commands.
func TestHostileValues(t *testing.T) {
	dir := t.TempDir()
	hostile := []string{
		"$(touch DIR/owned)", "`touch DIR/owned`", "; touch DIR/owned", "' ; touch DIR/owned '", "\" ; touch DIR/owned \"", "a\ntouch DIR/owned\n",
		"| touch DIR/owned", "&& touch DIR/owned", "> DIR/owned", "<ip>", "${IFS}", "\\", "*", "a b", "-n",
	}
	for _, v := range hostile {
		v = strings.ReplaceAll(v, "DIR", dir)
		command, args := replaceDynamic(`printf '%s' "<matches>"; printf '%s' "<F-USER>"`, func(tag string) (string, bool) { return v, tag == "matches" },
			func(tag string) (string, bool) { return v, tag == "user" }, hostNames)
		out, err := exec.Command("/bin/sh", append([]string{"-c", command}, args...)...).Output()
		if err != nil || string(out) != v+v {
			t.Errorf("%q: the shell got %q, %v", v, out, err)
		}
	}
	if found, _ := os.ReadDir(dir); len(found) > 0 {
		t.Errorf("a value was run: %v", found)
	}
}

// TestManyVariables checks that the eleventh argument is not taken for the second.
func TestManyVariables(t *testing.T) {
	var command strings.Builder
	for i := range 14 {
		fmt.Fprintf(&command, `printf '%%s ' "<v%d>"; `, i)
	}
	text, args := replaceDynamic(command.String(), func(tag string) (string, bool) { return tag + "$", true }, func(string) (string, bool) { return "", false }, hostNames)
	out, err := exec.Command("/bin/sh", append([]string{"-c", text}, args...)...).Output()
	want := "v0$ v1$ v2$ v3$ v4$ v5$ v6$ v7$ v8$ v9$ v10$ v11$ v12$ v13$ "
	if err != nil || string(out) != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}

func FuzzReplaceDynamic(f *testing.F) {
	f.Add("echo <ip> <F-USER>", "a'b")
	f.Fuzz(func(t *testing.T, command, value string) {
		text, args := replaceDynamic(command, func(string) (string, bool) { return value, true }, func(string) (string, bool) { return value, true }, hostNames)
		if len(args) > 0 && !strings.HasPrefix(text, "f2bV_") {
			t.Errorf("%q: values without variables: %q", command, text)
		}
	})
}
