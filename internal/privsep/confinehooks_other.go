//go:build !openbsd

package privsep

// ConfineHooks takes from the process that runs commands what they do not need. log is fail2ban's log, which it writes; "" = none.
func ConfineHooks(string) error { return limitHooks() }
