package daemon

import (
	"errors"
	"io/fs"
	"os"
)

// marker is the file beside the ledger that stands there while fail2ban's actions hold bans; "" where the ledger is in memory.
func (d *Daemon) marker() string {
	if f := d.config.Store.File; f != "" && f != ":memory:" {
		return f + ".actions"
	}
	return ""
}

// unclean tells whether a run before this one ended without stopping its actions: what they did is still in force, and nobody has ended it since.
func (d *Daemon) unclean() bool {
	path := d.marker()
	if path == "" {
		return false
	}
	_, err := os.Lstat(path)
	return err == nil
}

// mark notes that actions hold bans from now on, or no more.
func (d *Daemon) mark(holding bool) {
	path := d.marker()
	if path == "" || d.config.Observe || holding && d.fail2ban == nil {
		return
	}
	var err error
	if holding {
		err = os.WriteFile(path, nil, 0o600)
	} else if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		d.log.Warn("after a crash, what fail2ban's actions left will not be cleared, or cleared in vain", "file", path, "error", err)
	}
}
