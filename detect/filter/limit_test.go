package filter

import (
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
)

// TestTimeLimit gives lines up that a pattern takes too long for: one of them after a second try, the rest of a flood at once, and goes on
// with ordinary lines.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	f, err := Compile(Definition{Failregex: []string{`^ <ADDR> (?=a)(?P<x>a+)+!(?P=x)$`}}, Options{Location: time.UTC, NoFindTime: true, MatchTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	set := NewSet([]*Filter{f})
	found := 0
	match := func(text string) {
		set.Match(capture.Line{Text: "Nov 22 15:20:08" + text}, time.Unix(1795400000, 0), func(int, Candidate) { found++ })
	}
	const flood = 20
	for range flood {
		match(" 203.0.113.7 " + strings.Repeat("a", 40) + "!b")
	}
	if n := f.Stats().Timeouts; n != flood || found != 0 {
		t.Errorf("%d lines given up, %d found", n, found)
	}
	if left := f.fail[0].hasty; left != hasty-flood+1 {
		t.Errorf("%d lines got a second chance", flood-(hasty-left))
	}
	for range 10 { // the time limit of this test is short
		if match(" 203.0.113.7 a!a"); found > 0 {
			return
		}
	}
	t.Error("an ordinary line was not found")
}

// TestNoTimeAtAll counts a line without any time stamp where no rule of find time applies, as fail2ban's tests do, and nowhere else.
func TestNoTimeAtAll(t *testing.T) {
	t.Parallel()
	for _, free := range []bool{true, false} {
		f, err := Compile(Definition{Failregex: []string{`^bad <ADDR>$`}}, Options{Location: time.UTC, NoFindTime: free, FindTime: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var got []Candidate
		NewSet([]*Filter{f}).Match(capture.Line{Text: "bad 203.0.113.7"}, time.Unix(1795400000, 0), func(_ int, c Candidate) { got = append(got, c) })
		if free && (len(got) != 1 || got[0].HasTime || got[0].ID != "203.0.113.7") || !free && len(got) != 0 {
			t.Errorf("without rule %v: %+v", free, got)
		}
	}
}
