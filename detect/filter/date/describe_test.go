package date

import "testing"

func TestDescribe(t *testing.T) {
	for pattern, want := range map[string][2]string{
		`%Y-%m-%d`:                   {`%Y-%m-%d`, `Year-Month-Day`},
		`{^LN-BEG}%b %d %k:%M:%S %%`: {`{^LN-BEG}%b %d %k:%M:%S %%`, `{^LN-BEG}MON Day %k:Minute:Second %`},
		`^%ExY(?:[.,]%f)?(?:\s*%z)?`: {`^%ExY(?:[.,]%f)?(?:\s*%z)?`, `^ExYear(?:[.,]Microseconds)?(?:\s*Zone offset)?`},
		`{UNB}^`:                     {`{UNB}^`, `^`},
		`EPOCH`:                      {``, `Epoch`},
		`{^LN-BEG}LEPOCH`:            {``, `{^LN-BEG}LongEpoch`},
		`TAI64N`:                     {``, `TAI64N`},
		`^\[{EPOCH}\]`:               {``, `^\[{EPOCH}\]`},
		`%`:                          {`%`, `%`},
	} {
		if shown, description := Describe(pattern); shown != want[0] || description != want[1] {
			t.Errorf("Describe(%q) = %q, %q, want %q", pattern, shown, description, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for pattern, want := range map[string]int{"": 31, "{DEFAULT}": 31, "{^LN-BEG}": 17, "x{DATE}": 17, "{NONE}": 1, "%Y\n%m": 2} {
		f, err := Compile(pattern, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(f.Patterns()); got != want {
			t.Errorf("%q: %d patterns, want %d", pattern, got, want)
		}
	}
}
