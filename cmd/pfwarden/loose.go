package main

import (
	"fmt"
	"os"
	"syscall"
)

// loose says why a configuration that root acts by is in other hands than root's, "" if it is not, or is not there. It names programs that are run
// as root: whoever may change it may do anything.
func loose(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		return fmt.Sprintf("%s belongs to user %d, who may have anything run as root by it; chown it to root", path, st.Uid)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return path + " may be changed by everybody, who may have anything run as root by it; chmod it to 0644"
	}
	return ""
}
