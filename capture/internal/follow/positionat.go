package follow

import (
	"fmt"
	"os"

	"pfwarden/capture"
)

// PositionAt gives the position of an offset in the file that stands at path now.
func PositionAt(path string, offset int64) (capture.Position, error) {
	f, err := os.Open(path)
	if err != nil {
		return capture.Position{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return capture.Position{}, err
	}
	if offset < 0 || offset > st.Size() {
		return capture.Position{}, fmt.Errorf("offset %d lies outside %s, which has %d bytes", offset, path, st.Size())
	}
	head := readHead(f)
	return capture.Position{Path: path, Identity: makeIdentity(keyOf(st), head).String(), Offset: offset}, nil
}
