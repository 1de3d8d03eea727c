package warden

import (
	"math"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// What fail2ban's own engine answered.
func TestGrowthAsRecorded(t *testing.T) {
	type growth struct {
		Extra struct {
			Increment                    bool
			MaxTime                      float64
			Factor, Formula, Multipliers string
		}
		BanTime, Result float64
		BanCount        int
		Error           *string
	}
	last := 0
	testkit.EachRecord(t, "data/fail2ban/units_bantime.jsonl", func(n int, c growth) {
		last = n
		g, err := NewGrowth(GrowthOptions{
			BanTime: c.BanTime, Increment: true, MaxTime: c.Extra.MaxTime, Factor: c.Extra.Factor, Formula: c.Extra.Formula, Multipliers: c.Extra.Multipliers,
		})
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			return
		}
		got, err := g.Seconds(c.BanTime, c.BanCount)
		if err != nil || math.Abs(got-c.Result) > 1e-9*math.Abs(c.Result) {
			t.Errorf("%+v: got %v, %v", c, got, err)
		}
	})
	if last < 99 {
		t.Errorf("only %d cases", last+1)
	}
}

func TestGrowthDuration(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      GrowthOptions
		count  int
		random float64
		want   time.Duration
	}{
		{"first ban", GrowthOptions{BanTime: 600, Increment: true}, 0, .5, 10 * time.Minute},
		{"second", GrowthOptions{BanTime: 600, Increment: true}, 1, 0, 20 * time.Minute},
		{"no increment", GrowthOptions{BanTime: 600}, 5, 0, 10 * time.Minute},
		{"for ever", GrowthOptions{BanTime: -1, Increment: true}, 5, 0, 0},
		{"rndtime goes beyond maxtime", GrowthOptions{BanTime: 600, Increment: true, MaxTime: 900, RndTime: 100}, 3, .5, 950 * time.Second},
		{"doubles twenty times at most, and fits", GrowthOptions{BanTime: 86400, Increment: true}, 1000, 0, 100 * 365 * 24 * time.Hour},
		{"never nothing", GrowthOptions{BanTime: 0}, 0, 0, 1},
	} {
		g, err := NewGrowth(c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Duration(c.count, c.random); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestExpressions(t *testing.T) {
	env := map[string]number{"ban.Time": intNumber(600), "ban.Count": intNumber(3), "banFactor": floatNumber(1.5)}
	for text, want := range map[string]float64{
		"1 + 2 * 3":                  7,
		"(1 + 2) * 3":                9,
		"2 ** 3 ** 2":                512,
		"-2 ** 2":                    -4,
		"2 ** -1":                    0.5,
		"7 // 2":                     3,
		"-7 // 2":                    -4,
		"-7 % 3":                     2,
		"7.5 // 2":                   3,
		"1 / 4":                      .25,
		"1 << 4 >> 1":                8,
		"5 & 6 | 8 ^ 1":              13,
		"~5":                         -6,
		"3 if ban.Count > 2 else 4":  3,
		"3 if not 1 else 4":          4,
		"1 if 0 else 2 if 1 else 3":  2,
		"0 or 5 and 7":               7,
		"ban.Time * banFactor":       900,
		"min(ban.Count, 2, 9)":       2,
		"max(1, 2.5)":                2.5,
		"int(7.9) + float(1)":        8,
		"round(2.5) + round(3.5)":    6,
		"abs(-3) + pow(2, 10)":       1027,
		"math.exp(0) + math.sqrt(9)": 4,
		"math.log(8, 2)":             3,
		"math.floor(-1.5)":           -2,
		"math.ceil(1.2)":             2,
		"1e3":                        1000,
		"1.5e-1":                     .15,
		"ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor": 7200,
		"9223372036854775807 + 1":         9223372036854775808,
		"3037000500 * 3037000500":         3037000500.0 * 3037000500.0,
		"1 << 100":                        math.Ldexp(1, 100),
		"10 ** 30":                        1e30,
		"True + 1":                        2,
		"math.pi > 3":                     1,
		"-9223372036854775807 - 5":        -9223372036854775812,
		"-9223372036854775807 * -1":       9223372036854775807,
		"(ban.Count - 10) * ban.Time * 1": -4200,
	} {
		e, err := parseExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v, err := e.evaluate(env); err != nil || math.Abs(v.float()-want) > 1e-9*max(1, math.Abs(want)) {
			t.Errorf("%s = %v, %v, want %v", text, v.float(), err, want)
		}
	}
}

func TestBadExpressions(t *testing.T) {
	for _, text := range []string{
		"", "1 +", "(1", "1)", "x", "__import__('os')", "ban.ip", "open(1)", "1 if 2", "min()", "math.exp(1, 2)", "1 / 0", "1 % 0", "1.5 << 2",
		"1 << -1", "math.log(0)", "math.sqrt(-1)", "1 2", "é", "f(", "1..2", "~1.5", "lambda: 1",
	} {
		if _, err := NewGrowth(GrowthOptions{BanTime: 600, Increment: true, Formula: "0 + " + text}); err == nil {
			t.Errorf("formula %q was taken", text)
		}
	}
	if _, err := NewGrowth(GrowthOptions{Factor: "two"}); err == nil {
		t.Error("factor two was taken")
	}
	if _, err := NewGrowth(GrowthOptions{Multipliers: "1 2 x"}); err == nil {
		t.Error("multipliers with an x were taken")
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{StockFormula, "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)", "((((", "--~~1", "1 if 1 else 2", "9**9**9", "1<<9999999999999", "-(-9223372036854775807-1)//-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseExpression(text)
		if err != nil {
			return
		}
		e.evaluate(map[string]number{"ban.Time": intNumber(600), "ban.Count": intNumber(3), "banFactor": floatNumber(1.5)})
	})
}
