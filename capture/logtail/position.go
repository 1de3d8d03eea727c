package logtail

import (
	"pfwarden/capture"
	"pfwarden/capture/internal/follow"
)

// PositionAt gives the position of an offset in the file that stands at path now, for those who know from elsewhere how far it was read.
func PositionAt(path string, offset int64) (capture.Position, error) {
	return follow.PositionAt(path, offset)
}
