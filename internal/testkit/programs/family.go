package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// Family lists a process and those that it started, and they, itself first. Where there is no /proc it is alone.
func Family(pid int) []int {
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[i]))
		for _, path := range threads {
			text, _ := os.ReadFile(path)
			for _, f := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(f); err == nil {
					list = append(list, child)
				}
			}
		}
	}
	return list
}

// Kill ends a program as a crash would. What it had started ends by itself then, in its own time: before the test's folders are removed that is waited for, or it
// would write into them meanwhile.
func Kill(t testing.TB, p *os.Process) {
	t.Helper()
	if p.Signal(syscall.SIGSTOP) != nil { // it has ended, and its number may be another's
		return
	}
	family := Family(p.Pid) // nobody joins it any more
	_ = p.Kill()
	_, _ = p.Wait()
	t.Cleanup(func() {
		for _, pid := range family[1:] {
			testkit.Within(t, time.Minute, fmt.Sprintf("process %d, begun by the one that was killed, is gone", pid), func() bool { return !running(pid) })
		}
	})
}

// running tells whether a process runs: not if it is a zombie that nobody has waited for.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
