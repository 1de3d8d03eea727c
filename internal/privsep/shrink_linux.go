package privsep

import (
	"bufio"
	"io"
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
// file and of its libraries, code and constants, that are not needed any more; they are mapped again from the page cache when they are.
func Shrink() {
	debug.SetGCPercent(10)
	runtime.GOMAXPROCS(1)
	pflog.ForgetTables()
	limitMemory()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	pieces := untouched(f)
	// Linux 6.18 maps as much around a page as lies in one folio of the page cache, up to 2 MB, but never beyond a mapping: every other
	// piece gets another advice, which makes it a mapping of its own. These are read-only mappings of a file: nothing can be lost.
	for _, p := range pieces {
		for at := p[0]; at < p[1] && p[1]-p[0] > piece; at += 2 * piece {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, at, min(piece, p[1]-at), unix.MADV_RANDOM)
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, p[0], p[1]-p[0], unix.MADV_DONTNEED)
	}
	debug.FreeOSMemory() // what reading that list took
}

// untouched reads the mappings of files, in the form of proc(5)'s smaps, that nobody may write to and nobody has: those that the dynamic linker has
// written its addresses into are not among them.
func untouched(smaps io.Reader) (pieces [][2]uintptr) {
	var at [2]uintptr
	for s := bufio.NewScanner(smaps); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) == 0 {
			continue
		}
		if !strings.HasSuffix(fields[0], ":") { // the head of a mapping: addresses, rights, offset, device, inode, file
			at = [2]uintptr{}
			from, to, _ := strings.Cut(fields[0], "-")
			begin, err1 := strconv.ParseUint(from, 16, 64)
			end, err2 := strconv.ParseUint(to, 16, 64)
			if err1 == nil && err2 == nil && len(fields) == 6 && strings.HasPrefix(fields[5], "/") && !strings.Contains(fields[1], "w") {
				at = [2]uintptr{uintptr(begin), uintptr(end)}
			}
			continue
		}
		if fields[0] == "Anonymous:" && at[1] > 0 && len(fields) > 1 && fields[1] == "0" { // no page is a copy of ours
			pieces = append(pieces, at)
		}
	}
	return pieces
}
