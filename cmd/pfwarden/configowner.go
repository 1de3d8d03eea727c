package main

import (
	"fmt"
	"os"
	"syscall"
)

// foreignOwner says whose a configuration is that root acts by, "" if it is root's, or is not there. It names programs that are run as root: whoever may
// change it may do anything. One that everybody may change is refused (safePaths).
func foreignOwner(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		return fmt.Sprintf("%s belongs to user %d, who may have anything run as root by it; chown it to root", path, st.Uid)
	}
	return ""
}
