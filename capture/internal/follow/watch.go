package follow

import (
	"os"
	"sync"
)

// Watcher tells that a file changed, so that it need not wait for the next poll. It may miss changes; polling finds them.
type Watcher interface {
	// Add watches a path. f is its open file, nil if it is not open; for a glob only its directory can be watched.
	// A path that cannot be watched is left to polling.
	Add(path string, f *os.File)
	// Remove is called before f is closed.
	Remove(path string, f *os.File)
	// Wake has an element when Take has something to say.
	Wake() <-chan struct{}
	// Take gives the changes since the last call; names says that names appeared or vanished, or that changes were missed.
	Take() (changed []Change, names bool)
	Close() error
}

// Change is what happened to a path.
type Change struct {
	Path string
	Data bool // of its file the content changed, and nothing else: what stands at the path need not be looked at anew
}

// NoWatcher leaves everything to polling.
func NoWatcher() Watcher { return noWatcher{} }

type noWatcher struct{}

func (noWatcher) Add(string, *os.File)    {}
func (noWatcher) Remove(string, *os.File) {}
func (noWatcher) Wake() <-chan struct{}   { return nil }
func (noWatcher) Take() ([]Change, bool)  { return nil, false }
func (noWatcher) Close() error            { return nil }

// changes collects what a watcher's goroutine saw until the follower takes it. Its size is bounded by the paths.
type changes struct {
	mu    sync.Mutex
	paths map[string]bool // true: of its file the content only
	names bool
	wake  chan struct{}
}

func newChanges() *changes {
	return &changes{paths: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// add notes a change of a path; data: of its file's content only.
func (c *changes) add(path string, data bool) {
	c.mu.Lock()
	before, known := c.paths[path]
	c.paths[path] = data && (before || !known)
	c.mu.Unlock()
	c.signal()
}

func (c *changes) addNames() {
	c.mu.Lock()
	c.names = true
	c.mu.Unlock()
	c.signal()
}

func (c *changes) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // already awake
	}
}

func (c *changes) Wake() <-chan struct{} { return c.wake }

func (c *changes) Take() ([]Change, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Change, 0, len(c.paths))
	for p, data := range c.paths {
		out = append(out, Change{p, data})
	}
	clear(c.paths)
	names := c.names
	c.names = false
	return out, names
}
