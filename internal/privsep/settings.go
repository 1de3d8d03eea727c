package privsep

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"pfwarden/pfctl"
)

// Settings are what a privileged process may do. It gets them from its own configuration, never from the worker.
type Settings struct {
	Pfctl   string   // path of pfctl(8)
	Env     []string // variables for it beyond its usual ones
	Files   []string // absolute paths and globs of the logs and of the pflog file
	Anchors []Anchor

	Lists     []string // absolute paths of files of addresses, which are opened by these names alone
	Interface string   // to capture from; "" = none
	Snaplen   int

	Never         []netip.Prefix // never added, and their states never killed
	NeverDefaults bool           // the same for what belongs to this machine, asked anew from time to time
}

// Anchor is an anchor of PF that may be changed.
type Anchor struct {
	Path   string
	Tables []string
	Rules  []string // texts that may be loaded: with the word counters, and without; empty: none
}

// NewAnchor takes an anchor's settings from the driver's.
func NewAnchor(c pfctl.Config) Anchor {
	a := Anchor{Path: c.Anchor}
	banned, suspects := c.Banned, c.Suspects
	if banned == "" {
		banned = string(pfctl.Banned)
	}
	if suspects == "" {
		suspects = string(pfctl.Suspects)
	}
	add := func(name string) {
		for _, t := range a.Tables {
			if t == name {
				return
			}
		}
		a.Tables = append(a.Tables, name)
	}
	add(banned)
	if c.Rules == "" || strings.Contains(c.Rules, "<"+suspects+">") {
		add(suspects)
	}
	for _, t := range c.PortTables {
		add(t.Name)
	}
	if !c.TablesOnly {
		a.Rules = []string{c.RulesText(true), c.RulesText(false)}
	}
	return a
}

// Validate returns every fault.
func (s *Settings) Validate() error {
	var errs []error
	if !filepath.IsAbs(s.Pfctl) {
		errs = append(errs, fmt.Errorf("pfctl %q: the privileged process runs it by an absolute path only; set pf.pfctl to one", s.Pfctl))
	}
	for _, f := range s.Files {
		if !filepath.IsAbs(f) || filepath.Clean(f) != f {
			errs = append(errs, fmt.Errorf("log %q: the privileged process opens absolute paths without . and .. only", f))
		}
		if _, err := filepath.Match(f, ""); err != nil {
			errs = append(errs, fmt.Errorf("log %q: %w", f, err))
		}
	}
	for _, f := range s.Lists {
		if !filepath.IsAbs(f) || filepath.Clean(f) != f {
			errs = append(errs, fmt.Errorf("file of addresses %q: the privileged process opens absolute paths without . and .. only", f))
		}
	}
	if len(s.Anchors) == 0 {
		errs = append(errs, errors.New("no anchor of PF is named"))
	}
	return errors.Join(errs...)
}

// anchor finds a configured anchor by its path.
func (s *Settings) anchor(path string) (*Anchor, bool) {
	for i := range s.Anchors {
		if s.Anchors[i].Path == path {
			return &s.Anchors[i], true
		}
	}
	return nil, false
}

// above tells whether path is an anchor above a configured one.
func (s *Settings) above(path string) bool {
	for i := range s.Anchors {
		if path != "" && strings.HasPrefix(s.Anchors[i].Path, path+"/") {
			return true
		}
	}
	return false
}

func (a *Anchor) has(table string) bool {
	for _, t := range a.Tables {
		if t == table {
			return true
		}
	}
	return false
}

// MayOpen tells whether a path is that of a configured file, or of a log that may be it under the name which rotation gave it:
// a name in the same folder that begins as the configured one does, with something after it (authlog.0.gz), or put between it and its
// extension (access-20260131.log.gz).
func (s *Settings) MayOpen(path string) bool {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return false
	}
	if slices.Contains(s.Lists, path) {
		return true
	}
	for _, f := range s.Files {
		if f == path {
			return true
		}
		for _, pattern := range beside(f) {
			if ok, _ := filepath.Match(pattern, path); ok { // patterns were checked
				return true
			}
		}
	}
	return false
}

// beside are the patterns of the names that rotation may give to files of a pattern, its own among them.
func beside(pattern string) []string {
	dir, base := filepath.Split(pattern)
	ext := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	if stem == "" || ext == "" || strings.ContainsAny(ext, `*?[]\`) || strings.ContainsAny(stem, `[\`) { // a point within a class parts nothing
		return []string{pattern, pattern + "*"}
	}
	return []string{pattern, pattern + "*", dir + stem + "*" + ext + "*"}
}

// mayGlob tells whether a glob is configured as it is.
func (s *Settings) mayGlob(pattern string) bool {
	for _, f := range s.Files {
		if f == pattern {
			return true
		}
	}
	return false
}

// mayList tells whether configured files stand in a folder.
func (s *Settings) mayList(dir string) bool {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
		return false
	}
	for _, f := range s.Files {
		if ok, _ := filepath.Match(filepath.Dir(f), dir); ok || filepath.Dir(f) == dir {
			return true
		}
	}
	return false
}
