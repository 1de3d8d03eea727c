package capture

import "os"

// Files is access to log files through another process, for a process that may not open them itself. The functions promise what
// those of package os of the same names do; Glob what filepath.Glob does.
type Files struct {
	Open    func(path string) (*os.File, error)
	Stat    func(path string) (os.FileInfo, error)
	ReadDir func(dir string) ([]os.DirEntry, error) // may leave out what does not belong to a log
	Glob    func(pattern string) ([]string, error)

	// Watch begins to watch for changes; nil: the files' own descriptors and polling have to do. Linux only.
	Watch func() (FileWatch, error)
}

// FileWatch reports changes to files that this process may not watch itself: the other process adds the watches, this one reads the events.
type FileWatch interface {
	// Events is the inotify(7) instance to read from. It belongs to the caller.
	Events() *os.File
	// Add watches a path, or the folders of a glob, and returns what identifies its events.
	Add(path string) ([]Watched, error)
}

// Watched says which events of a FileWatch mean a path: those with this watch descriptor and, unless Name is empty, this name
// (wd and name of inotify(7)'s struct inotify_event).
type Watched struct {
	Descriptor int32
	Name       string // of the file within the watched folder; "" where any will do, as for a glob
}
