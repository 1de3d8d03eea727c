package follow

import (
	"slices"

	"pfwarden/capture"
)

// position is where reading of the path would go on after a restart.
func (p *path) position() (capture.Position, bool) {
	for _, f := range append(slices.Clone(p.old), p.cur) {
		if f != nil {
			return f.Position(f.committed), true
		}
	}
	return capture.Position{}, false
}

// idle tells that nothing is left to read.
func (p *path) idle() bool { return p.visited && p.missing && p.cur == nil && len(p.old) == 0 }

func (p *path) forget() {
	delete(p.w.paths, p.name)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	delete(p.w.stats, p.name)
	delete(p.w.places, p.name)
	delete(p.w.starts, p.name)
}

func (p *path) noteStart() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if _, known := p.w.starts[p.name]; !known {
		p.w.starts[p.name] = p.cur.Position(p.cur.committed)
	}
}

func (p *path) fail(err error, cause string) {
	if p.stats.Errors == nil {
		p.stats.Errors = map[string]uint64{}
	}
	if p.stats.Errors[cause] == 0 {
		p.w.log.Info("log cannot be read for now; it is tried again", "path", p.name, "cause", cause, "error", err)
	}
	p.stats.Errors[cause]++
	p.changed = true
}

func (p *path) lost(id identity, off int64) {
	p.stats.Lost++
	p.changed = true
	p.w.log.Warn("rest of a rotated file is lost: it is not found beside its path", "path", p.name, "identity", id.String(), "offset", off)
}
