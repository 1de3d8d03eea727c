package hooks

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/screen"
)

// Bounds of the values that one command is given, in bytes: the arguments of a program may be 128 KiB each (Linux) and 256 KiB in all (the
// BSDs). What is longer is cut.
const (
	maxValue  = 64 << 10
	maxValues = 192 << 10
	maxTags   = 256
)

// ID names a command in a book. It is made of the command's text, so that two processes that read the same configuration agree on it, and
// no others.
type ID [16]byte

// Kinds of what an ID names.
const (
	ofAction byte = 'a'
	ofIgnore byte = 'i'
)

func idOf(kind byte, timeout time.Duration, text string) ID {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64([]byte{kind}, uint64(timeout))) //nolint:gosec // only to be told apart
	h.Write([]byte(text))
	return ID(h.Sum(nil)[:len(ID{})])
}

// template is a command whose own options are filled in: what is left in it are the values of a ban.
type template struct {
	text    string
	timeout time.Duration
	tags    []string
	others  bool // a jail that knows sources by identifiers may have it run
}

// tagsOf lists the tags of a command, each once, in their order.
func tagsOf(text string) (tags []string) {
	for _, m := range tagPattern.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(tags, m[1]) && len(tags) < maxTags {
			tags = append(tags, m[1])
		}
	}
	return tags
}

// field is a tag's value.
type field struct{ tag, value string }

// gather asks for the values of a command's tags, those of failures by their groups' names. Together they are no longer than maxValues.
func gather(text string, value, failure values) (fields []field) {
	left := maxValues
	for _, tag := range tagsOf(text) {
		v, ok := value(tag)
		if m := failurePattern.FindStringSubmatch("<" + tag + ">"); !ok && m != nil {
			v, ok = failure(failureName(m[1]))
		}
		if !ok {
			continue
		}
		v = cut(strings.ReplaceAll(v, "\x00", ""), min(left, maxValue)) // no argument can hold a NUL
		left -= len(v)
		fields = append(fields, field{tag, v})
	}
	return fields
}

// cut shortens a text to n bytes at most, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// fill makes what /bin/sh is given of a command and its values.
func fill(text string, fields []field) (command string, args []string) {
	find := func(tag string) (string, bool) {
		for _, f := range fields {
			if f.tag == tag {
				return f.value, true
			}
		}
		return "", false
	}
	isFailure := func(tag string) bool { return failurePattern.MatchString("<" + tag + ">") }
	return replaceDynamic(text,
		func(tag string) (string, bool) {
			if isFailure(tag) {
				return "", false
			}
			return find(tag)
		},
		func(name string) (string, bool) {
			for _, f := range fields {
				if isFailure(f.tag) && failureName(strings.TrimPrefix(f.tag, "F-")) == name {
					return f.value, true
				}
			}
			return "", false
		}, hostNames)
}

// Book holds every command that a configuration may have run. It is what a process of its own knows of the configuration.
type Book struct {
	actions map[ID]*template
	ignores map[ID]*screen.Command
	jails   map[string]bool
	others  map[string]bool // the jails among them that know sources by identifiers, too
	log     string          // of the notices; "" = none
}

// verbs are the commands of an action.
func verbs() []string {
	return []string{
		"actionstart", "actionstop", "actionflush", "actioncheck", "actionrepair", "actionban", "actionreban", "actionunban",
		"actionprolong", "actionreload",
	}
}

// NewBook lists the commands of the jails' actions, the ignore commands, and the path of fail2ban's log if somebody reads it ("" if not).
// timeout is that of actions that name none; 0 = Options' default.
func NewBook(jails []Jail, ignores []*screen.Command, log string, timeout time.Duration) *Book {
	b := &Book{actions: make(map[ID]*template), ignores: make(map[ID]*screen.Command), jails: make(map[string]bool), others: make(map[string]bool), log: log}
	for _, j := range jails {
		b.jails[j.Name] = true
		if j.Identifiers {
			b.others[j.Name] = true
		}
	}
	h := New(jails, Options{Timeout: timeout})
	for n, a := range h.actions {
		for _, verb := range verbs() {
			for _, family := range []string{"", "inet4", "inet6"} {
				text, err := a.text(verb, family)
				if err != nil || strings.TrimSpace(text) == "" {
					continue // whoever wants to run it is told
				}
				id := idOf(ofAction, a.timeout, text)
				before := b.actions[id]
				b.actions[id] = &template{text, a.timeout, tagsOf(text), b.others[n.jail] || before != nil && before.others}
			}
		}
	}
	for _, c := range ignores {
		b.ignores[idOf(ofIgnore, c.Timeout(), c.Text())] = c
	}
	return b
}

// Empty tells whether there is nothing to run.
func (b *Book) Empty() bool { return len(b.actions)+len(b.ignores) == 0 && b.log == "" }

// Log is the path of fail2ban's log, "" if nobody reads it.
func (b *Book) Log() string { return b.log }

// Size is how many commands there are.
func (b *Book) Size() int { return len(b.actions) + len(b.ignores) }

// Digests name each action together with all that its commands are made of. An action with the same name and digest in two configurations
// is the same.
func Digests(jails []Jail) map[string]string {
	out := make(map[string]string)
	for n, a := range New(jails, Options{}).actions {
		out[n.String()] = a.digest()
	}
	return out
}

// String names an action: its jail, a slash, its own name.
func (n name) String() string { return n.jail + "/" + n.action }

func (a *action) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%v\n%q\n%q\n%v", a.name, a.banTime, a.spec.Command, a.spec.Init, a.spec.NoRestored) // maps are printed in the order of their keys
	return hex.EncodeToString(h.Sum(nil)[:16])
}
