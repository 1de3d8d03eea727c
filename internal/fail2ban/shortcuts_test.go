package fail2ban

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/debian"
)

// TestShortCuts: for every filter that has sample logs, the short cuts find in these logs and in mutilations of their lines what running
// every pattern on every line finds, and nothing that is found points into the line.
func TestShortCuts(t *testing.T) {
	root := debian.Fail2ban(t)
	logs, err := filepath.Glob(filepath.Join(root, "usr/lib/python3/dist-packages/fail2ban/tests/files/logs/*"))
	testkit.Must(t, err)
	dir, filters, found := filepath.Join(root, "etc/fail2ban"), 0, 0
	for _, log := range logs {
		name := filepath.Base(log)
		if _, err := os.Stat(filepath.Join(dir, "filter.d", name+".conf")); err != nil {
			continue
		}
		data, err := os.ReadFile(log)
		testkit.Must(t, err)
		lines := slices.DeleteFunc(strings.Split(string(data), "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "# ") })
		specs := []string{name}
		if name == "sshd" || name == "postfix" || name == "dovecot" {
			specs = append(specs, name+"[mode=aggressive]")
		}
		for _, spec := range specs {
			filters++
			found += compareShortCuts(t, dir, spec, lines)
		}
	}
	t.Logf("%d filters found %d times", filters, found)
	if filters < 50 || found < 10*filters {
		t.Errorf("%d filters found %d times: the test shows little", filters, found)
	}
}

// compareShortCuts runs one filter both ways over lines and mutilations of them and returns how often it found something.
func compareShortCuts(t *testing.T, dir, spec string, lines []string) (found int) {
	t.Helper()
	def, err := FilterDefinition(dir, spec, "")
	testkit.Must(t, err)
	set := func(exhaustive bool) *filter.Set {
		f, err := filter.Compile(def, filter.Options{Location: time.UTC, Replay: true, Exhaustive: exhaustive, MatchTimeout: time.Minute})
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		return filter.NewSet([]*filter.Filter{f})
	}
	fast, slow := set(false), set(true)
	rng := rand.New(rand.NewPCG(uint64(len(spec)), 3))
	var texts []string
	var got, want [][]filter.Candidate
	buffer := make([]byte, 0, 1<<16)
	for range 2 {
		for _, line := range lines {
			for range 2 {
				text := mutilate(rng, line, lines)
				buffer = append(buffer[:0], text...)
				texts, got, want = append(texts, text), append(got, nil), append(want, nil)
				match(fast, unsafe.String(unsafe.SliceData(buffer), len(buffer)), &got[len(got)-1])
				match(slow, text, &want[len(want)-1])
				for i := range buffer { // the next line lies in the same memory
					buffer[i] = '#'
				}
			}
		}
	}
	for i, text := range texts {
		found += len(want[i])
		if g, w := fmt.Sprint(got[i]), fmt.Sprint(want[i]); g != w {
			t.Fatalf("%s on line %d, %q (-every pattern +short cuts):\n%s", spec, i, text, cmp.Diff(w, g))
		}
	}
	return found
}

func match(set *filter.Set, text string, into *[]filter.Candidate) {
	modified := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	set.Match(capture.Line{Text: text, Modified: modified}, time.Time{}, func(_ int, c filter.Candidate) { *into = append(*into, c) })
}

// mutilate changes a line a little, or not at all.
func mutilate(rng *rand.Rand, line string, others []string) string {
	for range rng.IntN(4) {
		if line == "" {
			return line
		}
		i := rng.IntN(len(line))
		j := min(len(line), i+1+rng.IntN(8))
		switch rng.IntN(10) {
		case 0:
			line = line[:i] + line[j:]
		case 1:
			line = line[:j] + line[i:]
		case 2:
			line = line[:i] + string(rune(' '+rng.IntN(95))) + line[i+1:]
		case 3:
			line = line[:i] + []string{"é", "\u017f", "\u212a", "\xff", "\t", "  ", "\r", "\x00", "::", "[]"}[rng.IntN(10)] + line[i:]
		case 4:
			line = line[:i] + strings.ToUpper(line[i:j]) + line[j:]
		case 5:
			line = line[:i] + strings.ToLower(line[i:j]) + line[j:]
		case 6:
			other := others[rng.IntN(len(others))]
			line = line[:i] + other[min(len(other), i):]
		case 7:
			words := strings.Split(line, " ")
			a, b := rng.IntN(len(words)), rng.IntN(len(words))
			words[a], words[b] = words[b], words[a]
			line = strings.Join(words, " ")
		case 8:
			line = others[rng.IntN(len(others))]
		default:
			line = line[:j]
		}
	}
	return line
}
