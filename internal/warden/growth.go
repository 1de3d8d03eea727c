package warden

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// GrowthOptions are fail2ban's bantime settings of one jail, as text where fail2ban evaluates them.
type GrowthOptions struct {
	BanTime     float64 // seconds; less than 0 = for ever
	Increment   bool    // bantime.increment
	Factor      string  // bantime.factor: an expression; "" = 1
	Formula     string  // bantime.formula; "" = the stock one
	Multipliers string  // bantime.multipliers: expressions between blanks; "" = formula
	MaxTime     float64 // bantime.maxtime, seconds; 0 = none
	RndTime     float64 // bantime.rndtime, seconds
	Overall     bool    // bantime.overalljails
}

// StockFormula is what bantime grows by unless a formula or multipliers are set: doubling, twenty times at most.
const StockFormula = "ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor"

// Growth is how the ban time of a fail2ban jail grows with the number of earlier bans of the same source.
type Growth struct {
	options     GrowthOptions
	factor      float64
	formula     *expression
	multipliers []float64
}

// NewGrowth checks the options. Formula and factor are Python expressions of numbers, comparison, conditional, min, max, int, float,
// round, abs, pow and the functions of math, over ban.Time, ban.Count and banFactor.
func NewGrowth(o GrowthOptions) (*Growth, error) {
	g := &Growth{options: o, factor: 1}
	if strings.TrimSpace(o.Factor) != "" {
		e, err := parseExpression(o.Factor)
		if err != nil {
			return nil, fmt.Errorf("bantime.factor: %w", err)
		}
		v, err := e.evaluate(nil)
		if err != nil {
			return nil, fmt.Errorf("bantime.factor %q: %w", o.Factor, err)
		}
		g.factor = v.float()
	}
	for _, m := range strings.Fields(o.Multipliers) {
		v, err := strconv.ParseFloat(m, 64)
		if err != nil {
			return nil, fmt.Errorf("bantime.multipliers: %q is no number", m)
		}
		g.multipliers = append(g.multipliers, v)
	}
	text := o.Formula
	if strings.TrimSpace(text) == "" {
		text = StockFormula
	}
	e, err := parseExpression(text)
	if err != nil {
		return nil, fmt.Errorf("bantime.formula: %w", err)
	}
	g.formula = e
	if _, err := g.Seconds(600, 1); err != nil {
		return nil, fmt.Errorf("bantime.formula %q: %w", text, err)
	}
	return g, nil
}

// Overall tells whether the bans of all jails count.
func (g *Growth) Overall() bool { return g.options.Overall }

// Seconds gives the ban time of a source with that many earlier bans, before the random part.
func (g *Growth) Seconds(base float64, count int) (float64, error) {
	var seconds float64
	if n := len(g.multipliers); n > 0 {
		seconds = base * g.factor * g.multipliers[max(min(count, n-1), 0)]
	} else {
		v, err := g.formula.evaluate(map[string]number{
			"ban.Time": floatOrInt(base), "ban.Count": intNumber(int64(count)), "banFactor": floatOrInt(g.factor),
		})
		if err != nil {
			return 0, err
		}
		seconds = max(base, v.float())
	}
	if g.options.MaxTime > 0 {
		seconds = min(seconds, g.options.MaxTime)
	}
	return seconds, nil
}

// Duration gives the ban time of a source with that many earlier bans; random in [0, 1) places it within rndtime. 0 = for ever.
func (g *Growth) Duration(count int, random float64) time.Duration {
	seconds := g.options.BanTime
	if seconds < 0 {
		return 0
	}
	if g.options.Increment && count > 0 {
		if grown, err := g.Seconds(seconds, count); err == nil {
			seconds = grown // an expression that fails for this count leaves the plain time, as in fail2ban
		}
		seconds += random * g.options.RndTime
	}
	const longest = 100 * 365 * 24 * 3600 // time.Duration reaches 292 years
	if math.IsNaN(seconds) || seconds > longest {
		seconds = longest
	}
	return max(time.Duration(seconds*float64(time.Second)), 1)
}
