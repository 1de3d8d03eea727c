//go:build unix

package follow

import (
	"errors"
	"os"
	"syscall"
)

// openFile opens without waiting for a writer should the path be a named pipe.
func openFile(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
}

func keyOf(st os.FileInfo) fileKey {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return fileKey{}
	}
	return fileKey{uint64(sys.Dev), uint64(sys.Ino)} //nolint:unconvert // widths and signs differ by system
}

func tooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
