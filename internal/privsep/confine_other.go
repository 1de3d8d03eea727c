//go:build !linux && !openbsd

package privsep

func noNewPrivileges() error { return nil }

// confine has nothing to add here to user, chroot and limits.
func confine() error { return nil }
