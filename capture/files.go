package capture

import "os"

// Files is access to log files by another process that may open them where this one may not. The functions promise what
// those of package os of the same names do; Glob what filepath.Glob does.
type Files struct {
	Open    func(path string) (*os.File, error)
	Stat    func(path string) (os.FileInfo, error)
	ReadDir func(dir string) ([]os.DirEntry, error) // may leave out what does not belong to a log
	Glob    func(pattern string) ([]string, error)

	// Watch begins to watch for changes; nil: the files' own descriptors and polling have to do. Linux only.
	Watch func() (FileWatch, error)
}

// FileWatch tells of changes in folders that the other process watches.
type FileWatch interface {
	// Events is the inotify(7) instance to read from. It belongs to the caller.
	Events() *os.File
	// Add watches a path, or the folders of a glob, and says which events mean it.
	Add(path string) ([]Watched, error)
}

// Watched is what an event must hold to mean a path.
type Watched struct {
	Descriptor int32  // of the watch
	Name       string // of the file in it; "" for a glob: any
}
