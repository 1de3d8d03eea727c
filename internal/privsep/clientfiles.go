package privsep

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"pfwarden/capture"
)

func (c *Client) file(way byte, path string) (frame, error) {
	if len(path) > maxPath {
		return frame{}, &fs.PathError{Op: "open", Path: path, Err: syscall.ENAMETOOLONG}
	}
	f, err := c.simple(&request{kind: kindOpen, way: way, path: path})
	if err != nil {
		return frame{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

// Open opens a configured file.
func (c *Client) Open(path string) (*os.File, error) {
	f, err := c.file(openFile, path)
	if err == nil && f.file == nil {
		err = &fs.PathError{Op: "open", Path: path, Err: errProtocol}
	}
	return f.file, err
}

// Stat looks at a configured file.
func (c *Client) Stat(path string) (os.FileInfo, error) {
	f, err := c.file(openStatus, path)
	if err != nil {
		return nil, err
	}
	st, _, err := takeStatus(f.payload)
	if err != nil {
		return nil, err
	}
	return info{st}, nil
}

// ReadDir lists the files of a folder that are, or were, configured ones.
func (c *Client) ReadDir(dir string) ([]os.DirEntry, error) {
	f, err := c.file(openBeside, dir)
	if err != nil {
		return nil, err
	}
	var list []os.DirEntry
	for rest := f.payload; len(rest) > 0; {
		var st status
		if st, rest, err = takeStatus(rest); err != nil {
			return nil, err
		}
		list = append(list, fs.FileInfoToDirEntry(info{st}))
	}
	return list, nil
}

// Glob expands a configured glob, and any path without one.
func (c *Client) Glob(pattern string) ([]string, error) {
	if !filepath.IsAbs(pattern) {
		return nil, nil
	}
	f, err := c.file(openNames, pattern)
	if err != nil {
		return nil, err
	}
	var list []string
	for rest := f.payload; len(rest) > 0; {
		if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
			return nil, errProtocol
		}
		n := int(binary.BigEndian.Uint16(rest))
		list, rest = append(list, string(rest[2:2+n])), rest[2+n:]
	}
	return list, nil
}

// watch is a capture.FileWatch.
type watch struct {
	c      *Client
	events *os.File
	number uint32
}

// Watch begins to watch for changes.
func (c *Client) Watch() (capture.FileWatch, error) {
	f, err := c.file(openEvents, "")
	if err != nil {
		return nil, err
	}
	if f.file == nil || len(f.payload) != 4 {
		return nil, errProtocol
	}
	return &watch{c, f.file, binary.BigEndian.Uint32(f.payload)}, nil
}

// Events gives the inotify instance.
func (w *watch) Events() *os.File { return w.events }

// Add watches a path.
func (w *watch) Add(path string) ([]capture.Watched, error) {
	f, err := w.c.file(openWatch, strconv.FormatUint(uint64(w.number), 10)+":"+path)
	if err != nil {
		return nil, err
	}
	var list []capture.Watched
	for rest := f.payload; len(rest) > 0; {
		if len(rest) < 6 || len(rest) < 6+int(binary.BigEndian.Uint16(rest[4:])) {
			return nil, errProtocol
		}
		n := int(binary.BigEndian.Uint16(rest[4:]))
		list = append(list, capture.Watched{Descriptor: int32(binary.BigEndian.Uint32(rest)), Name: string(rest[6 : 6+n])}) //nolint:gosec // as it was written
		rest = rest[6+n:]
	}
	return list, nil
}

// Files gives access to the configured files.
func (c *Client) Files() *capture.Files {
	f := &capture.Files{Open: c.Open, Stat: c.Stat, ReadDir: c.ReadDir, Glob: c.Glob}
	if hasEvents {
		f.Watch = c.Watch
	}
	return f
}
