package fail2ban

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/debian"
)

// sampleNow is the moment at which fail2ban's own tests take place.
const sampleNow = 1124013600

var instruction = regexp.MustCompile(`^#+ ?(failJSON|fileOptions|filterOptions|addFILE):(.+)$`)

// exceptions are expectations that are not met, by "file: line", with the reason. There are none.
var exceptions = map[string]string{}

// TestDebianSamples runs every filter of Debian's package with every option set of its annotated sample logs over these logs, and compares
// what each line gives with what is written there.
func TestDebianSamples(t *testing.T) { debian.EachFail2ban(t, testSamples) }

func testSamples(t *testing.T, root string) {
	tests := filepath.Join(root, "usr/lib/python3/dist-packages/fail2ban/tests")
	if found, _ := filepath.Glob(filepath.Join(root, "usr/lib/python3*/dist-packages/fail2ban/tests")); len(found) > 0 {
		tests = found[0]
	}
	// fail2ban's own test filters include files of its source tree by their relative place.
	tree := t.TempDir()
	place := filepath.Join(tree, "usr/lib/python3/dist-packages/fail2ban/tests")
	testkit.Must(t, os.MkdirAll(place, 0o755))
	testkit.Must(t, os.Symlink(filepath.Join(tests, "config"), filepath.Join(place, "config")))
	for above := filepath.Dir(filepath.Dir(place)); above != filepath.Dir(tree); above = filepath.Dir(above) {
		testkit.Must(t, os.Symlink(filepath.Join(root, "etc/fail2ban"), filepath.Join(above, "config")))
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	total := tally{}
	for dir, pattern := range map[string]string{filepath.Join(root, "etc/fail2ban"): "*.conf", filepath.Join(place, "config"): "zzz-*.conf"} {
		files, err := filepath.Glob(filepath.Join(dir, "filter.d", pattern))
		testkit.Must(t, err)
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".conf")
			if strings.HasSuffix(name, "common") {
				continue
			}
			t.Run(name, func(t *testing.T) {
				s := &samples{dir: dir, logs: filepath.Join(tests, "files/logs"), name: name, zone: zone, filters: map[string]*sampleFilter{}, used: map[string]bool{}}
				s.run(t)
				total.add(s.tally)
			})
		}
	}
	t.Logf("%d filters with %d option sets: %d expectations, %d not met", total.filters, total.sets, total.expectations, total.missed)
	if total.filters < 50 {
		t.Errorf("only %d filters have samples", total.filters)
	}
}

type tally struct{ filters, sets, expectations, missed int }

func (a *tally) add(b tally) {
	a.filters, a.sets, a.expectations, a.missed = a.filters+1, a.sets+b.sets, a.expectations+b.expectations, a.missed+b.missed
}

// samples runs the sample logs of one filter.
type samples struct {
	tally
	dir, logs, name string
	zone            *time.Location
	filters         map[string]*sampleFilter
	used            map[string]bool // failregexes that matched something
	active          []*sampleFilter
}

// sampleFilter is one filter with one set of options; what it remembers lasts through all files.
type sampleFilter struct {
	options map[string]string
	filter  *filter.Filter
	set     *filter.Set
}

func (s *samples) run(t *testing.T) {
	common := map[string]string{}
	for files := []string{s.name}; len(files) > 0; files = files[1:] {
		text, err := os.ReadFile(filepath.Join(s.logs, files[0]))
		if err != nil {
			t.Skipf("no samples: %v", err)
		}
		ignore := false
		lines := strings.Split(strings.ToValidUTF8(string(text), "\uFFFD"), "\n")
		for i := 0; i < len(lines); i++ {
			expect := map[string]any{}
			at := i + 1
			switch m := instruction.FindStringSubmatch(strings.TrimRight(lines[i], "\r")); {
			case m == nil && (ignore || strings.HasPrefix(lines[i], "#") || strings.TrimSpace(lines[i]) == ""):
				continue
			case m == nil:
			case m[1] == "addFILE":
				var file string
				testkit.Must(t, json.Unmarshal([]byte(m[2]), &file))
				files = append(files, file)
				continue
			case m[1] == "fileOptions":
				testkit.Must(t, json.Unmarshal([]byte(m[2]), &common))
				continue
			case m[1] == "filterOptions":
				ignore = s.choose(t, m[2], common)
				continue
			default:
				testkit.Must(t, json.Unmarshal([]byte(m[2]), &expect))
				i++
			}
			if ignore || i >= len(lines) {
				continue
			}
			if s.active == nil {
				s.active = []*sampleFilter{s.get(t, nil)}
			}
			s.line(t, fmt.Sprintf("%s: %d", files[0], at+1), strings.TrimRight(lines[i], "\r"), expect)
		}
	}
	for _, f := range s.filters {
		for _, regex := range f.filter.Failregex {
			if !s.used[regex] {
				t.Errorf("%v: no sample matches %s", f.options, regex)
			}
		}
	}
}

// choose takes the option sets that hold from here on; true: the lines up to the next ones are not for this filter.
func (s *samples) choose(t *testing.T, text string, common map[string]string) (ignore bool) {
	var sets []map[string]string
	if err := json.Unmarshal([]byte(text), &sets); err != nil {
		var one map[string]string
		testkit.Must(t, json.Unmarshal([]byte(text), &one))
		sets = []map[string]string{one}
	}
	s.active = nil
	for _, set := range sets {
		options := maps.Clone(common)
		maps.Copy(options, set)
		if c := options["test.condition"]; c != "" {
			ignore = !condition(t, c, s.name, options)
		}
		if !ignore {
			s.active = append(s.active, s.get(t, options))
		}
	}
	return ignore
}

// get makes the filter of an option set, or finds it again.
func (s *samples) get(t *testing.T, options map[string]string) *sampleFilter {
	var given []string
	for _, k := range slices.Sorted(maps.Keys(options)) {
		if !strings.HasPrefix(k, "test.") {
			given = append(given, fmt.Sprintf("%s=\"%s\"", k, options[k]))
		}
	}
	spec := s.name
	if len(given) > 0 {
		spec += "[" + strings.Join(given, ",") + "]"
	}
	key := spec + options["test.filter-name"]
	if f := s.filters[key]; f != nil {
		return f
	}
	def, err := FilterDefinition(s.dir, spec, "")
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.Compile(def, filter.Options{Location: s.zone, NoFindTime: true, AllRegex: true, RawHost: true})
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	x := &sampleFilter{options: options, filter: f, set: filter.NewSet([]*filter.Filter{f})}
	s.filters[key] = x
	s.sets++
	return x
}

func (s *samples) line(t *testing.T, at, line string, expect map[string]any) {
	now := time.Unix(sampleNow, 0)
	for _, f := range s.active {
		if c, _ := expect["constraint"].(string); c != "" && !condition(t, c, s.name, f.options) {
			continue
		}
		text := line
		if f.options["logtype"] == "journal" {
			text = f.options["test.prefix-line"] + text
		}
		s.expectations++
		before := f.filter.Stats().Hits
		var got []filter.Candidate
		f.set.Match(capture.Line{Text: text, Read: now}, now, func(_ int, c filter.Candidate) { got = append(got, c) })
		for i, n := range f.filter.Stats().Hits {
			if n > before[i] {
				s.used[f.filter.Failregex[i]] = true
			}
		}
		fault := s.judge(got, expect, f.options["logtype"] == "journal")
		if fault == "" {
			continue
		}
		s.missed++
		if why := exceptions[at]; why != "" {
			t.Logf("%s %v: %s; excepted: %s", at, f.options, fault, why)
			continue
		}
		t.Errorf("%s %v: %s\n\t%s\n\texpected %v", at, f.options, fault, text, expect)
	}
}

// judge says what is not as it should be, "" if all is well.
func (s *samples) judge(got []filter.Candidate, want map[string]any, journal bool) string {
	if m, _ := want["match"].(bool); !m {
		if len(got) > 0 {
			return fmt.Sprintf("matched by %d as %q", got[0].Regex, got[0].ID)
		}
		return ""
	}
	if len(got) != 1 {
		return fmt.Sprintf("%d failures", len(got))
	}
	c := got[0]
	for k, v := range want {
		if k == "time" && v == nil {
			continue
		}
		switch k {
		case "match", "desc", "constraint":
		case "time":
			at, err := time.ParseInLocation("2006-1-2T15:04:05", fmt.Sprint(v), s.zone) // a fraction may follow
			if err != nil || !journal && !c.Time.Truncate(time.Second).Equal(at.Truncate(time.Second)) {
				return fmt.Sprintf("time %v", c.Time.In(s.zone))
			}
		case "host":
			id := c.ID
			if h := c.Fields["host"]; h != "" {
				id = h
			}
			if !same(id, v) {
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
				for _, x := range w {
					wanted = append(wanted, fmt.Sprint(x))
				}
				slices.Sort(wanted)
				if have := slices.Sorted(slices.Values(list)); !slices.Equal(have, wanted) {
					return fmt.Sprintf("%s %q", k, list)
				}
			} else if v == nil && c.Fields[k] != "" || v != nil && !same(c.Fields[k], v) {
				return fmt.Sprintf("%s %q", k, c.Fields[k])
			}
		}
	}
	return ""
}

// same compares texts, addresses by value.
func same(got string, want any) bool {
	w := fmt.Sprint(want)
	a, err := netip.ParseAddr(got)
	b, err2 := netip.ParseAddr(w)
	return got == w || err == nil && err2 == nil && a == b
}

var comparison = regexp.MustCompile(`^\(?\s*(name|opts\.get\(['"]([\w.]+)['"]\))\s*([!=]=)\s*['"]([^'"]*)['"]\s*\)?$`)

// condition judges an expression over name and opts, as far as the samples need it.
func condition(t *testing.T, text, name string, options map[string]string) bool {
	t.Helper()
	any := false
	for _, alternative := range strings.Split(text, " or ") {
		all := true
		for _, part := range strings.Split(alternative, " and ") {
			m := comparison.FindStringSubmatch(strings.TrimSpace(part))
			if m == nil {
				t.Fatalf("a condition that this test does not understand: %s", text)
			}
			value := name
			if m[2] != "" {
				value = options[m[2]]
			}
			all = all && (value == m[4]) == (m[3] == "==")
		}
		any = any || all
	}
	return any
}
