package date

import "strings"

// Patterns lists the formats' patterns in their first order.
func (f *Format) Patterns() []string {
	out := make([]string, len(f.templates))
	for i, t := range f.templates {
		out[i] = t.name
	}
	return out
}

// Use is what a detector has seen of one format.
type Use struct {
	Pattern string
	Hits    int
	Weight  float64 // of its hits, by how near to the beginning of the line they were
	Base    float64 // of the format itself
}

// Uses lists the formats in the detector's present order.
func (d *Detector) Uses() []Use {
	out := make([]Use, len(d.slots))
	for i := range d.slots {
		s := &d.slots[i]
		out[i] = Use{s.name, s.hits, s.score(), s.weight}
	}
	return out
}

// words are fail2ban's names of directives in its descriptions of formats.
var words = map[string]string{
	"a": "DAY", "A": "DAYNAME", "b": "MON", "B": "MONTH", "d": "Day", "H": "24hour", "I": "12hour", "j": "Yearday", "m": "Month", "M": "Minute",
	"p": "AMPM", "S": "Second", "U": "Yearweek", "w": "Weekday", "W": "Yearweek", "y": "Year2", "Y": "Year", "%": "%", "z": "Zone offset",
	"f": "Microseconds", "Z": "Zone name",
}

// Describe gives a pattern and its description as fail2ban shows them: the directives in words. A few patterns are shown by their
// description alone.
func Describe(pattern string) (shown, description string) {
	body, begin := strings.CutPrefix(pattern, "{^LN-BEG}")
	bare, atBegin := strings.CutPrefix(body, "^")
	for name, described := range map[string]string{"EPOCH": "Epoch", "LEPOCH": "LongEpoch", "TAI64N": "TAI64N"} {
		if same := bare == name || bare == described; same && (begin || atBegin) {
			return "", "{^LN-BEG}" + described
		}
		if bare == name || bare == described {
			return "", described
		}
	}
	if strings.Contains(pattern, "{EPOCH}") || strings.Contains(pattern, "{LEPOCH}") {
		return "", pattern
	}
	var b strings.Builder
	if begin {
		b.WriteString("{^LN-BEG}")
	}
	body = strings.TrimPrefix(body, "{UNB}")
	for i := 0; i < len(body); i++ {
		if body[i] != '%' || i+1 >= len(body) {
			b.WriteByte(body[i])
			continue
		}
		name, ex := body[i+1:i+2], ""
		if rest := body[i+1:]; len(rest) >= 3 && rest[:2] == "Ex" {
			name, ex = rest[2:3], "Ex"
		}
		i += len(ex) + 1
		if word, ok := words[name]; ok {
			b.WriteString(ex + word)
			continue
		}
		b.WriteString("%" + ex + name)
	}
	return pattern, b.String()
}
