package ledger

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"pfwarden/detect"
)

// list is texts as stored.
func list(s []string) string {
	b := []byte{'['}
	for i, text := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, text)
	}
	return string(append(b, ']'))
}

// text is the story as stored: the JSON of it, as encoding/json reads it, written without reflection because a flood of bans has as many
// stories. A score that JSON cannot hold costs the score, never the ban.
func (s *Story) text() string {
	if s.Empty() {
		return ""
	}
	b, ok := s.appendJSON(make([]byte, 0, 512))
	if !ok {
		return s.textSlowly()
	}
	return string(b)
}

// textSlowly leaves the writing to encoding/json.
func (s *Story) textSlowly() string {
	c := *s
	c.Score = finite(c.Score)
	c.Shares = slices.Clone(c.Shares)
	for i := range c.Shares {
		c.Shares[i].Fraction = finite(c.Shares[i].Fraction)
	}
	text, err := json.Marshal(c)
	if err != nil {
		text, _ = json.Marshal(Story{Failures: s.Failures, Lost: err.Error()})
	}
	return string(text)
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// appendJSON writes the story; ok is false where encoding/json has to decide. Fields that are empty are left out, as there.
func (s *Story) appendJSON(b []byte) (_ []byte, ok bool) {
	b = append(b, '{')
	if score := finite(s.Score); score != 0 {
		b = appendNumber(append(b, `"score":`...), score)
	}
	if s.Failures != 0 {
		b = strconv.AppendInt(append(next(b), `"failures":`...), int64(s.Failures), 10)
	}
	if len(s.Shares) > 0 {
		b = append(next(b), `"shares":[`...)
		for i := range s.Shares {
			b = appendShare(next(b), &s.Shares[i])
		}
		b = append(b, ']')
	}
	if len(s.Gates) > 0 {
		b = append(next(b), `"gates":[`...)
		for i := range s.Gates {
			b = appendGate(next(b), &s.Gates[i])
		}
		b = append(b, ']')
	}
	if len(s.Evidence) > 0 {
		b = append(next(b), `"evidence":[`...)
		for i := range s.Evidence {
			if b, ok = appendEvidence(next(b), &s.Evidence[i]); !ok {
				return nil, false
			}
		}
		b = append(b, ']')
	}
	if s.Lost != "" {
		b = appendText(append(next(b), `"lost":`...), s.Lost)
	}
	return append(b, '}'), true
}

// next writes the comma before the next element, unless it is the first.
func next(b []byte) []byte {
	if last := b[len(b)-1]; last == '{' || last == '[' {
		return b
	}
	return append(b, ',')
}

func appendShare(b []byte, s *detect.Share) []byte {
	b = appendText(append(b, `{"Jail":`...), s.Jail)
	b = appendNumber(append(b, `,"Fraction":`...), finite(s.Fraction))
	b = strconv.AppendBool(append(b, `,"Proven":`...), s.Proven)
	return append(b, '}')
}

func appendGate(b []byte, g *detect.GateAnswer) []byte {
	b = appendText(append(b, `{"Gate":`...), g.Gate)
	b = strconv.AppendBool(append(b, `,"Stopped":`...), g.Stopped)
	b = appendText(append(b, `,"Text":`...), g.Text)
	return append(b, '}')
}

func appendEvidence(b []byte, e *detect.Evidence) (_ []byte, ok bool) {
	if y := e.Time.Year(); y < 0 || y > 9999 {
		return nil, false
	}
	if _, offset := e.Time.Zone(); offset <= -24*3600 || offset >= 24*3600 {
		return nil, false
	}
	b = append(e.Time.AppendFormat(append(b, `{"Time":"`...), time.RFC3339Nano), '"')
	b = appendText(append(b, `,"Jail":`...), e.Jail)
	b = strconv.AppendUint(append(b, `,"Kind":`...), uint64(e.Kind), 10)
	b = append(b, `,"Target":{"Address":"`...)
	if e.Target.Address.Zone() != "" { // may hold anything
		return nil, false
	}
	if e.Target.Address.IsValid() {
		b = e.Target.Address.AppendTo(b)
	}
	b = strconv.AppendUint(append(b, `","Port":`...), uint64(e.Target.Port), 10)
	b = strconv.AppendUint(append(b, `,"Protocol":`...), uint64(e.Target.Protocol), 10)
	b = strconv.AppendBool(append(b, `},"Proven":`...), e.Proven)
	b = appendText(append(b, `,"Text":`...), e.Text)
	b = appendText(append(b, `,"User":`...), e.User)
	b = append(b, `,"Fields":`...)
	if e.Fields == nil {
		return append(b, `null}`...), true
	}
	b = append(b, '{')
	var names [8]string
	for _, name := range sortedNames(names[:0], e.Fields) {
		b = append(appendText(next(b), name), ':')
		b = appendText(b, e.Fields[name])
	}
	return append(b, "}}"...), true
}

func sortedNames(names []string, f detect.Fields) []string {
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// appendNumber writes a finite number.
func appendNumber(b []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 && (f != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(b, int64(f), 10)
	}
	text, err := json.Marshal(f)
	if err != nil { // finite numbers always marshal
		return append(b, '0')
	}
	return append(b, text...)
}

// appendText writes a text in quotes, as encoding/json does, to which is left what is not plain.
func appendText(b []byte, s string) []byte {
	begin, plain := len(b), 0
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(append(b, s[plain:i]...), '\\')
			plain = i
		case c < 0x20 || c >= 0x7f || c == '<' || c == '>' || c == '&':
			text, err := json.Marshal(s)
			if err != nil { // texts always marshal
				text = []byte(`""`)
			}
			return append(b[:begin], text...)
		}
	}
	return append(append(b, s[plain:]...), '"')
}
