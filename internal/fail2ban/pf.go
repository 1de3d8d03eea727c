package fail2ban

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// PFAction is what an action does that only fills a table of PF: pfwarden's own driver does that in its place, with anchor and
// table as they were.
type PFAction struct {
	Action     string // name of the action in its jail
	Anchor     string // "" = the main ruleset
	Table      string
	KillStates bool   // the action kills the address's states
	RulesFile  string // what its start loads into the anchor, by file
	Rules      string // or as text
}

// pf recognises an action whose ban is nothing but "pfctl … -t TABLE -T add <ip>", perhaps followed by "pfctl -k <ip>", and whose
// start at most loads rules in a way that is understood. Any other action is run as it is.
func (a *Action) pf() (*PFAction, bool) {
	if a.Python {
		return nil, false
	}
	p := &PFAction{Action: a.Name}
	for _, words := range statements(a.Command["actionban"]) {
		c, ok := parsePfctl(words)
		switch {
		case harmless(words):
		case !ok:
			return nil, false
		case c.table != "" && c.change == "add" && len(c.rest) == 1 && c.rest[0] == "<ip>" && p.Table == "":
			p.Anchor, p.Table = c.anchor, c.table
		case len(c.kill) > 0 && contains(c.kill, "<ip>") && c.change == "" && c.load == "":
			p.KillStates = true
		default:
			return nil, false
		}
	}
	if p.Table == "" || strings.ContainsAny(p.Table+p.Anchor, "<>$`") || !p.start(a.Command["actionstart"]) {
		return nil, false
	}
	return p, true
}

// portList is how the stock pf action brings its port option to PF's list syntax.
var portList = regexp.MustCompile(`^port="([^"]*)"; if \[ "\$port" != "" \] && case "\$port" in \\\{\*\) false;; esac; then port="\{\$port\}"; fi$`)

// start reads what actionstart loads into the anchor. It reports false if it does something that is not understood.
func (p *PFAction) start(text string) bool {
	port, rules := "", []string(nil)
	for line := range strings.Lines(text) {
		if m := portList.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			if port = m[1]; port != "" && !strings.HasPrefix(port, "{") {
				port = "{" + port + "}"
			}
			continue
		}
		for _, words := range statements(line) {
			if at := index(words, "|"); at > 1 && words[0] == "echo" {
				c, ok := parsePfctl(words[at+1:])
				if !ok || c.load != "-" || c.anchor != p.Anchor {
					return false
				}
				rules = append(rules, strings.ReplaceAll(strings.Join(words[1:at], " "), "$port", port))
				continue
			}
			c, ok := parsePfctl(words)
			switch {
			case harmless(words):
			case !ok, index(words, "|") >= 0:
				return false
			case c.load == "-", c.load != "" && c.anchor != p.Anchor:
				return false
			case c.load != "":
				p.RulesFile = c.load
			}
		}
	}
	if len(rules) > 0 {
		p.Rules = strings.Join(rules, "\n") + "\n"
	}
	return (p.Anchor != "" || p.Rules == "" && p.RulesFile == "") && !strings.Contains(p.Rules, "$")
}

// pfctlCall is one command line of pfctl(8).
type pfctlCall struct {
	anchor, table, change, load string
	kill, rest                  []string
}

func parsePfctl(words []string) (c pfctlCall, ok bool) {
	if len(words) > 1 && (words[0] == "sudo" || words[0] == "doas") {
		words = words[1:]
	}
	if len(words) == 0 || filepath.Base(words[0]) != "pfctl" {
		return c, false
	}
	for i := 1; i < len(words); i++ {
		w := words[i]
		if len(w) < 2 || w[0] != '-' {
			c.rest = append(c.rest, w)
			continue
		}
		for at := 1; at < len(w); at++ {
			if !strings.ContainsRune("atTfkKFsiDopx", rune(w[at])) {
				continue
			}
			value := w[at+1:]
			if value == "" {
				if i++; i >= len(words) {
					return c, false
				}
				value = words[i]
			}
			switch w[at] {
			case 'a':
				c.anchor = value
			case 't':
				c.table = value
			case 'T':
				c.change = value
			case 'f':
				c.load = value
			case 'k':
				c.kill = append(c.kill, value)
			}
			break
		}
	}
	return c, true
}

// harmless statements neither ban nor load anything.
func harmless(words []string) bool {
	return len(words) == 0 || words[0] == "true" || words[0] == ":" || words[0] == "exit"
}

// statements splits shell text where one command ends and the next begins, and each into words; a pipe is a word of its own.
// Redirections are left out. What it cannot split becomes one statement that nobody understands.
func statements(text string) (out [][]string) {
	var part strings.Builder
	quote := byte(0)
	flush := func() {
		words, err := ShellWords(part.String())
		if err != nil {
			words = []string{fmt.Sprintf("unbalanced quotes: %v", err)}
		}
		part.Reset()
		kept := words[:0]
		for i := 0; i < len(words); i++ {
			if w := words[i]; redirection.MatchString(w) {
				if strings.HasSuffix(w, ">") {
					i++
				}
				continue
			}
			kept = append(kept, words[i])
		}
		if len(kept) > 0 {
			out = append(out, kept)
		}
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
			part.WriteByte(c)
		case c == '"' || c == '\'':
			quote = c
			part.WriteByte(c)
		case c == '\n' || c == ';':
			flush()
		case c == '&' && i+1 < len(text) && text[i+1] == '&', c == '|' && i+1 < len(text) && text[i+1] == '|':
			flush()
			i++
		case c == '|':
			part.WriteString(" | ")
		case c == '&' && (i == 0 || text[i-1] != '>'), c == '`', c == '$' && i+1 < len(text) && text[i+1] == '(':
			part.WriteString(` "$" `) // in the background, or substituted: not understood
		default:
			part.WriteByte(c)
		}
	}
	flush()
	return out
}

var redirection = regexp.MustCompile(`^[0-9]?>>?(&[0-9]|/dev/null)?$`)

func index(words []string, w string) int {
	for i := range words {
		if words[i] == w {
			return i
		}
	}
	return -1
}

func contains(words []string, w string) bool { return index(words, w) >= 0 }
