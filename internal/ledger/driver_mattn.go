//go:build cgo && !((linux && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64 || s390x)) || (freebsd && (amd64 || arm64)) || (openbsd && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (netbsd && amd64))

package ledger

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// driver names the SQLite driver of this system: mattn's, with cgo, where modernc.org/sqlite does not build.
const driver = "sqlite3"

// resultCode extracts SQLite's extended result code.
func resultCode(err error) (int, bool) {
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		return int(e.ExtendedCode), true
	}
	return 0, false
}
