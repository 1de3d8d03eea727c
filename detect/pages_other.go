//go:build !linux

package detect

// largePages does nothing: the other systems see to large pages themselves, or have none for programs.
func largePages([]byte) {}
