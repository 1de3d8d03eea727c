package follow

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"pfwarden/capture"
)

// handed is the watcher where another process sets the watches: it reads the events of an inotify instance that was handed over.
type handed struct {
	*changes
	watch  capture.FileWatch
	events *os.File
	done   chan struct{}

	names sync.Mutex // guards what follows
	paths map[capture.Watched]map[string]bool
	globs map[int32]map[string]bool // patterns, by the watch of their folder
}

func newHandedWatcher(begin func() (capture.FileWatch, error)) (Watcher, error) {
	watch, err := begin()
	if err != nil {
		return nil, err
	}
	h := &handed{changes: newChanges(), watch: watch, events: watch.Events(), done: make(chan struct{}),
		paths: map[capture.Watched]map[string]bool{}, globs: map[int32]map[string]bool{}}
	go h.run()
	return h, nil
}

// Add asks for a watch. What cannot be watched is left to polling.
func (h *handed) Add(path string, _ *os.File) {
	watched, err := h.watch.Add(path)
	if err != nil {
		return
	}
	h.names.Lock()
	defer h.names.Unlock()
	for _, w := range watched {
		if w.Name == "" {
			if h.globs[w.Descriptor] == nil {
				h.globs[w.Descriptor] = map[string]bool{}
			}
			h.globs[w.Descriptor][path] = true
			continue
		}
		if h.paths[w] == nil {
			h.paths[w] = map[string]bool{}
		}
		h.paths[w][path] = true
	}
}

// Remove keeps the watch: the directory is watched, not the file.
func (h *handed) Remove(string, *os.File) {}

func (h *handed) Close() error {
	err := h.events.Close()
	<-h.done
	return err
}

func (h *handed) run() {
	defer close(h.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := h.events.Read(buf)
		if err != nil {
			return // closed; polling remains
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			wd := int32(binary.NativeEndian.Uint32(rest)) //nolint:gosec // as the kernel wrote it
			mask := binary.NativeEndian.Uint32(rest[4:])
			size := int(binary.NativeEndian.Uint32(rest[12:]))
			rest = rest[unix.SizeofInotifyEvent:]
			if size > len(rest) {
				break
			}
			name := strings.TrimRight(string(rest[:size]), "\x00")
			rest = rest[size:]
			h.event(wd, mask, name)
		}
	}
}

func (h *handed) event(wd int32, mask uint32, name string) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		h.addNames()
		return
	}
	h.names.Lock()
	defer h.names.Unlock()
	paths := h.paths[capture.Watched{Descriptor: wd, Name: name}]
	for p := range paths {
		h.add(p, mask == unix.IN_MODIFY)
	}
	if len(paths) > 0 || mask&(unix.IN_CREATE|unix.IN_MOVED_TO) == 0 {
		return
	}
	for g := range h.globs[wd] {
		if ok, _ := filepath.Match(filepath.Base(g), name); ok {
			h.addNames()
			return
		}
	}
}
