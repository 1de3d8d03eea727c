package privsep

import (
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// chunk is how many names of a folder are held at once.
const chunk = 256

// entries yields the names in an open folder. Whoever owns it may have put any number there: they are never held together.
func entries(dir *os.File) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for {
			names, err := dir.Readdirnames(chunk)
			for _, name := range names {
				if !yield(name, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield("", err)
				return
			}
		}
	}
}

// glob is filepath.Glob with bounds: it returns at most so many names, holds no others, and waits for nothing that somebody put in a folder's
// place. The names of each folder are sorted.
func glob(pattern string, most int) ([]string, error) {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, err
	}
	return globIn(pattern, most), nil
}

func globIn(pattern string, most int) (found []string) {
	if !strings.ContainsAny(pattern, `*?[\`) {
		if _, err := os.Lstat(pattern); err != nil {
			return nil
		}
		return []string{pattern}
	}
	dir, base := filepath.Split(pattern)
	if dir == "" || base == "" {
		return nil // relative, or a folder: no log
	}
	for _, d := range globIn(filepath.Clean(dir), most) {
		found = append(found, matches(d, base, most-len(found))...)
	}
	return found
}

// matches lists the names in a folder that match a pattern, with the folder's before them.
func matches(dir, base string, most int) (found []string) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil // as in filepath.Glob: what cannot be read matches nothing
	}
	defer f.Close()
	for name, err := range entries(f) {
		if err != nil || len(found) >= most {
			break
		}
		if ok, _ := filepath.Match(base, name); ok { // the pattern was checked
			found = append(found, filepath.Join(dir, name))
		}
	}
	slices.Sort(found)
	return found
}
