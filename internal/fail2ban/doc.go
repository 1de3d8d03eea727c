// Package fail2ban reads an existing fail2ban set-up as fail2ban does: its files in their order, its INI dialect, includes,
// interpolation and tags, so that the jails, filters and actions that come out are those that fail2ban would run. It is written
// from a description of fail2ban's behaviour; nothing of fail2ban's own text is in it.
package fail2ban

import "fmt"

// Error is a fault that fail2ban itself would report, with the place where it was found.
type Error struct {
	Kind string // fail2ban's (Python's) name of the fault, e.g. "DuplicateOptionError"
	File string
	Line int // 0 = unknown
	Text string
}

// Error gives "file:line: text", as far as the place is known.
func (e *Error) Error() string {
	switch {
	case e.File == "":
		return e.Text
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}
