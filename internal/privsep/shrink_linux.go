package privsep

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pfwarden/capture/pflog"
)

// piece is how much of the program's file is mapped together, in bytes.
const piece = 8 << 10

// Shrink makes a process that does little small: it gives back garbage, tables of libraries, and those pages of the program's own
// file, code and constants, that are not needed any more; they are mapped again from the page cache when they are.
func Shrink() {
	debug.SetGCPercent(20)
	runtime.GOMAXPROCS(1)
	pflog.ForgetTables()
	debug.FreeOSMemory()
	exe, err := os.Executable()
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	var pieces [][2]uintptr
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) != 6 || fields[5] != exe || strings.Contains(fields[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			pieces = append(pieces, [2]uintptr{uintptr(begin), uintptr(end)})
		}
	}
	// Linux 6.18 maps as much around a page as lies in one folio of the page cache, up to 2 MB, but never beyond a mapping: every other
	// piece gets another advice, which makes it a mapping of its own. These are read-only mappings of a file: nothing can be lost.
	for _, p := range pieces {
		for at := p[0]; at < p[1] && p[1]-p[0] > piece; at += 2 * piece {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, at, min(piece, p[1]-at), unix.MADV_RANDOM)
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, p[0], p[1]-p[0], unix.MADV_DONTNEED)
	}
}
