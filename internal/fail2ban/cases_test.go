package fail2ban

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pfwarden/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

// effective is what fail2ban's command stream says of one jail.
type effective struct {
	Backend, Datepattern, Prefregex, Usedns string
	Fail, Ignore, Journal, IgnoreIP         []string
	Options                                 map[string]any
	Actions                                 map[string]map[string]any
}

// TestConfCases compares the effective jails and the faults with those that fail2ban makes of the same files.
func TestConfCases(t *testing.T) {
	dir := testkit.Recorded(t, "data/fail2ban/conf_cases")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	testkit.Must(t, err)
	if len(files) == 0 {
		t.Fatal("no cases")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			var want struct {
				OK     bool
				Error  string
				Stream [][]any
			}
			text, err := os.ReadFile(file)
			testkit.Must(t, err)
			testkit.Must(t, json.Unmarshal(text, &want))
			setup, err := Load(strings.TrimSuffix(file, ".json"), Options{Strict: true, AllowMissingLogs: true})
			if !want.OK {
				var fault *Error
				if !errors.As(err, &fault) || !strings.HasPrefix(strings.TrimPrefix(want.Error, "configparser."), fault.Kind+":") {
					t.Fatalf("error %v, want %s", err, want.Error)
				}
				t.Logf("fail2ban: %s\nours: %v", want.Error, err)
				return
			}
			testkit.Must(t, err)
			jails, faults := parseStream(t, want.Stream)
			got := make(map[string]*effective)
			for _, j := range setup.Jails {
				got[j.Name] = effect(j)
			}
			var gotFaults []string
			for _, f := range setup.Faults {
				gotFaults = append(gotFaults, f.Error())
			}
			if d := cmp.Diff(jails, got); d != "" {
				t.Errorf("jails (-fail2ban +ours):\n%s", d)
			}
			if d := cmp.Diff(faults, gotFaults); d != "" {
				t.Errorf("faults (-fail2ban +ours):\n%s", d)
			}
		})
	}
}

func parseStream(t *testing.T, stream [][]any) (map[string]*effective, []string) {
	t.Helper()
	jails := make(map[string]*effective)
	var faults []string
	str := func(v any) string { s, _ := v.(string); return s }
	list := func(vs []any) (out []string) {
		for _, v := range vs {
			if inner, ok := v.([]any); ok {
				for _, w := range inner {
					out = append(out, str(w))
				}
			} else {
				out = append(out, str(v))
			}
		}
		return out
	}
	for _, c := range stream {
		switch verb := str(c[0]); verb {
		case "config-error":
			faults = append(faults, str(c[1]))
		case "add":
			jails[str(c[1])] = &effective{Backend: str(c[2]), Options: map[string]any{}, Actions: map[string]map[string]any{}}
		case "start":
		case "set", "multi-set":
			j := jails[str(c[1])]
			if j == nil {
				continue // of the server itself
			}
			switch what := str(c[2]); what {
			case "addfailregex":
				j.Fail = append(j.Fail, list(c[3:])...)
			case "addignoreregex":
				j.Ignore = append(j.Ignore, list(c[3:])...)
			case "prefregex":
				j.Prefregex = str(c[3])
			case "datepattern":
				j.Datepattern = str(c[3])
			case "usedns":
				j.Usedns = str(c[3])
			case "addjournalmatch":
				j.Journal = append(j.Journal, strings.Join(list(c[3:]), "|"))
			case "addignoreip":
				j.IgnoreIP = append(j.IgnoreIP, list(c[3:])...)
			case "addaction":
				a := map[string]any{}
				if len(c) > 4 {
					a["python"] = str(c[5])
				}
				j.Actions[str(c[3])] = a
			case "action":
				for _, kv := range c[4].([]any) {
					p := kv.([]any)
					j.Actions[str(c[3])][str(p[0])] = p[1]
				}
			default:
				v := c[3]
				if f, ok := v.(float64); ok {
					v = int(f)
				}
				j.Options[what] = v
			}
		default:
			t.Fatalf("unknown command %v", c)
		}
	}
	return jails, faults
}

func effect(j Jail) *effective {
	e := &effective{Backend: j.Backend, Datepattern: j.Filter.DatePattern, Prefregex: j.Filter.PrefRegex, Usedns: j.Filter.UseDNS,
		Fail: j.Filter.FailRegex, Ignore: j.Filter.IgnoreRegex, IgnoreIP: j.IgnoreIP, Options: map[string]any{}, Actions: map[string]map[string]any{}}
	for _, m := range j.Filter.JournalMatch {
		e.Journal = append(e.Journal, strings.Join(m, "|"))
	}
	readers := []string{"enabled", "backend", "filter", "logpath", "action", "ignoreip", "skip_if_nologs", "systemd_if_nologs"}
	for name, v := range j.Options {
		if !slices.Contains(readers, name) {
			e.Options[name] = v
		}
	}
	if j.Filter.MaxLines > 0 {
		e.Options["maxlines"] = j.Filter.MaxLines
	}
	for _, a := range j.Actions {
		m := map[string]any{}
		if a.Python {
			args, _ := json.Marshal(a.Init)
			m["python"] = strings.Replace(string(args), ":", ": ", 1)
		} else {
			for k, v := range a.Command {
				if actionBooleans[k] {
					m[k] = v == "true" || truth(v)
				} else {
					m[k] = v
				}
			}
			for k, v := range a.Init {
				m[k] = v
			}
		}
		e.Actions[a.Name] = m
	}
	return e
}
