package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"pfwarden/internal/hooks"
)

// legacy is what a worker leaves for the one that takes its place at a reload.
type legacy struct {
	ID      string        `json:"id"`
	Actions []hooks.State `json:"actions"`
}

// maxLegacy bounds it, in bytes.
const maxLegacy = 16 << 20

// handOver stops the actions that the next worker does not have, and leaves the others as they are for it. It returns false if there will be
// no next one: then all are to be stopped.
func (d *Daemon) handOver(ctx context.Context) bool {
	id, keep := d.o.Apart.succession()
	if id == "" || d.o.Apart.Handover == "" {
		return false
	}
	states, err := d.hooks.HandOver(limited(ctx, time.Minute), d.liveStories(ctx), keep)
	if err == nil {
		err = bequeath(d.o.Apart.Handover, legacy{id, states})
	}
	if err != nil {
		d.log.Warn("the next worker starts fail2ban's actions anew", "error", err)
	}
	return true
}

func bequeath(path string, l legacy) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// inherit takes over the actions of the worker before, if this one follows it.
func (d *Daemon) inherit() {
	a := d.o.Apart
	if a == nil || a.Handover == "" {
		return
	}
	l, err := legacyOf(a.Handover)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil || l.ID != a.Succeeds || l.ID == "" {
		d.log.Debug("what another worker has left is not taken over", "error", err)
		return
	}
	d.log.Debug("actions go on as they are", "actions", d.hooks.Adopt(l.Actions))
}

// legacyOf reads what was left, and removes it: it is good for one worker.
func legacyOf(path string) (l legacy, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return l, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxLegacy+1))
	if err == nil && len(text) > maxLegacy {
		err = fmt.Errorf("%s is longer than anything that is left", path)
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	return l, errors.Join(err, f.Close(), os.Remove(path))
}
