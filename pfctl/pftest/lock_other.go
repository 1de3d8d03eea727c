//go:build !unix

package pftest

import (
	"errors"
	"os"
)

// lockFile: there is no flock(2) here.
func lockFile(path string) (*os.File, error) {
	return nil, &os.PathError{Op: "flock", Path: path, Err: errors.ErrUnsupported}
}
