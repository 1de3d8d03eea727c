//go:build !linux && !openbsd && !freebsd && !darwin

package privsep

func noNewPrivileges() error { return nil }

func forbid() error { return nil }

// confine has nothing to add here to user, chroot and limits.
func confine(WorkerNeeds) error { return nil }
