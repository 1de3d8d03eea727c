//go:build !cgo && !((linux && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64 || s390x)) || (freebsd && (amd64 || arm64)) || (openbsd && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (netbsd && amd64))

package ledger

// driver is empty: without cgo there is no SQLite for this system.
const driver = ""

func resultCode(error) (int, bool) { return 0, false }
