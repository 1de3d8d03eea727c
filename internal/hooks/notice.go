package hooks

import (
	"fmt"
	"os"
	"sync"
	"time"

	"pfwarden/internal/warden"
)

// Notices writes what happens to bans as lines of fail2ban's own log, for those who read that: a recidive jail, above all.
type Notices struct {
	path string
	pid  int

	mu   sync.Mutex // guards what follows
	file *os.File
}

// OpenNotices opens the log at path, made if need be; lines are appended. A file that is rotated away is followed by a new one.
func OpenNotices(path string) (*Notices, error) {
	n := &Notices{path: path, pid: os.Getpid()}
	return n, n.follow()
}

// Close closes the file.
func (n *Notices) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}

// Event writes a line for a ban that was made or ended; at is when.
func (n *Notices) Event(e warden.Event, at time.Time) error {
	verb := ""
	switch e.Kind {
	case warden.EventBan:
		verb = "Ban"
	case warden.EventUnban:
		verb = "Unban"
	default:
		return nil
	}
	return n.write(at, e.Ban.Jail, verb, addressOf(&e.Ban))
}

// write writes "TIME fail2ban.actions [PID]: NOTICE  [JAIL] VERB ADDRESS".
func (n *Notices) write(at time.Time, jail, verb, address string) error {
	line := fmt.Sprintf("%s %-24s[%d]: %-7s [%s] %s %s\n", at.Format("2006-01-02 15:04:05,000"), "fail2ban.actions", n.pid, "NOTICE", jail, verb, oneLine(address))
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.follow(); err != nil {
		return err
	}
	_, err := n.file.WriteString(line)
	return err
}

// follow opens the file anew if another stands at its path now: it was rotated. n.mu is held.
func (n *Notices) follow() error {
	if n.file != nil {
		have, err := n.file.Stat()
		there, err2 := os.Stat(n.path)
		if err == nil && err2 == nil && os.SameFile(have, there) {
			return nil
		}
	}
	f, err := os.OpenFile(n.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("log for those who read fail2ban's: %w", err)
	}
	if n.file != nil {
		n.file.Close()
	}
	n.file = f
	return nil
}

// oneLine keeps an identifier that came from a log from forging another line.
func oneLine(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			out[i] = '?'
		}
	}
	return string(out)
}
