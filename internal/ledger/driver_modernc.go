//go:build (linux && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64 || s390x)) || (freebsd && (amd64 || arm64)) || (openbsd && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (netbsd && amd64)

package ledger

import (
	"errors"

	"modernc.org/sqlite"
)

// driver names the SQLite driver of this system: modernc.org/sqlite where it builds, since it needs no C compiler.
const driver = "sqlite"

// resultCode extracts SQLite's extended result code.
func resultCode(err error) (int, bool) {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code(), true
	}
	return 0, false
}
