//go:build !openbsd

package privsep

import "log/slog"

// confineGuard has nothing to add here to the limits of all systems.
func confineGuard(*Guard, GuardNeeds, *slog.Logger) error { return nil }

// confineHooks has nothing to add here to the limits of all systems.
func confineHooks(string) error { return nil }
