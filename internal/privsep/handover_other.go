//go:build !freebsd

package privsep

import "os"

// limitRights does nothing here: a descriptor has no rights of its own but how it was opened.
func limitRights(*os.File, handover) error { return nil }
