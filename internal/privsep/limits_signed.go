//go:build freebsd || dragonfly

package privsep

import "golang.org/x/sys/unix"

func lower(resource int, to uint64) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err != nil {
		return err
	}
	l.Max = min(l.Max, int64(to)) //nolint:gosec // far below
	l.Cur = min(l.Cur, l.Max)
	return unix.Setrlimit(resource, &l)
}
