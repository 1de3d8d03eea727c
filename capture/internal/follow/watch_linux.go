package follow

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// inotify watches directories, so that one watch serves all their files, also those to come.
type inotify struct {
	*changes
	w   *fsnotify.Watcher
	log *slog.Logger

	names   sync.Mutex          // guards what follows
	paths   map[string][]string // file name as the events will have it → paths that lead there
	targets map[string]string   // path → what it leads to, if it is a link
	globs   map[string]bool
	refused map[string]bool // directories whose failure was logged
}

func newWatcher(log *slog.Logger) (Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	n := &inotify{
		changes: newChanges(), w: w, log: log, paths: map[string][]string{}, targets: map[string]string{}, globs: map[string]bool{},
		refused: map[string]bool{},
	}
	go n.run()
	return n, nil
}

func (n *inotify) Add(path string, _ *os.File) {
	if isGlob(path) {
		n.names.Lock()
		n.globs[path] = true
		n.names.Unlock()
		dirs, _ := filepath.Glob(filepath.Dir(path))
		for _, dir := range dirs {
			n.watch(dir)
		}
		return
	}
	n.lead(path, path)
	n.watch(filepath.Dir(path))
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		n.lead(target, path) // writes to a link's target are seen in the target's directory only
		n.names.Lock()
		if before := n.targets[path]; before != target {
			n.paths[before] = slices.DeleteFunc(n.paths[before], func(p string) bool { return p == path })
			if len(n.paths[before]) == 0 {
				delete(n.paths, before)
			}
			n.targets[path] = target
		}
		n.names.Unlock()
		n.watch(filepath.Dir(target))
	}
}

func (n *inotify) lead(name, path string) {
	name = filepath.Clean(name)
	n.names.Lock()
	defer n.names.Unlock()
	for _, p := range n.paths[name] {
		if p == path {
			return
		}
	}
	n.paths[name] = append(n.paths[name], path)
}

func (n *inotify) watch(dir string) {
	if err := n.w.Add(dir); err != nil {
		n.names.Lock()
		defer n.names.Unlock()
		if !n.refused[dir] && len(n.refused) < 1000 {
			n.refused[dir] = true
			n.log.Info("directory is not watched, only polled", "directory", dir, "error", err)
		}
	}
}

// Remove keeps the watch: the directory is watched, not the file.
func (n *inotify) Remove(string, *os.File) {}

func (n *inotify) Close() error { return n.w.Close() }

func (n *inotify) run() {
	for {
		select {
		case ev, ok := <-n.w.Events:
			if !ok {
				return
			}
			n.event(ev)
		case _, ok := <-n.w.Errors:
			if !ok {
				return
			}
			n.addNames() // most often the kernel's queue has overflowed: look at everything
		}
	}
}

func (n *inotify) event(ev fsnotify.Event) {
	name := filepath.Clean(ev.Name)
	n.names.Lock()
	defer n.names.Unlock()
	paths := n.paths[name]
	for _, p := range paths {
		n.add(p, ev.Op == fsnotify.Write)
	}
	if len(paths) > 0 || !ev.Has(fsnotify.Create) {
		return
	}
	for g := range n.globs {
		if ok, _ := filepath.Match(g, name); ok {
			n.addNames()
			return
		}
	}
}
