package screen

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Bounds of a list.
const (
	maxListFile   = 16 << 20 // bytes
	maxFromFile   = 1 << 20  // entries
	maxFileNames  = 256      // host names in one file
	lookupTimeout = 5 * time.Second
	filesTimeout  = 30 * time.Second // for all names of a file
	maxAddresses  = 64               // of one name
)

// List is a list of addresses, prefixes, names and files that hold more of them. Names are looked up and files read by
// Refresh; the last good answer is kept if that fails. Lookups may go on meanwhile, in other goroutines.
type List struct {
	resolver Resolver
	readFile func(string) ([]byte, error)
	stat     func(string) (os.FileInfo, error)
	fixed    []netip.Prefix
	names    []string
	files    []listFile
	changed  func(origin string, prefixes []netip.Prefix) // may be nil

	set atomic.Pointer[Set]

	refreshing sync.Mutex                // one Refresh at a time; guards known
	known      map[string][]netip.Prefix // by origin
}

// listFile is a file of entries.
type listFile struct {
	path  string
	names []string // host names that it held when it was read last
	seen  stamp
}

// stamp is what tells that a file was changed.
type stamp struct {
	modified time.Time
	size     int64
}

// NewList reads entries: addresses, prefixes, names, and "file:PATH" (also "file://PATH"). changed, which may be nil, is told the prefixes of an
// origin ("config", "name gw.example.org", "file /etc/never") whenever they are new. A nil resolver is the system's. A faulty entry is an error.
func NewList(entries []string, resolver Resolver, changed func(origin string, prefixes []netip.Prefix)) (*List, error) {
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	l := &List{resolver: resolver, readFile: readBounded, stat: os.Stat, changed: changed, known: map[string][]netip.Prefix{}}
	for _, e := range entries {
		path, isFile := strings.CutPrefix(e, "file:")
		if rest, ok := strings.CutPrefix(path, "//"); ok { // an absolute path has a third one
			path = rest
		}
		p, err := ParsePrefix(e)
		switch {
		case isFile && path != "":
			l.files = append(l.files, listFile{path: path})
		case err == nil:
			l.fixed = append(l.fixed, p)
		case validName(e):
			l.names = append(l.names, strings.TrimSuffix(e, "."))
		default:
			return nil, fmt.Errorf("never-list entry %q: want an address, a prefix, a host name, or file:PATH", e)
		}
	}
	if len(l.fixed) > 0 {
		l.put("config", l.fixed)
	}
	l.swap()
	return l, nil
}

// Contains tells whether the list holds a.
func (l *List) Contains(a netip.Addr) bool { return l.set.Load().Contains(a) }

// Covers tells whether one entry of the list holds all of p.
func (l *List) Covers(p netip.Prefix) bool { return l.set.Load().Covers(p) }

// Overlaps tells whether the list holds an address of p.
func (l *List) Overlaps(p netip.Prefix) bool { return l.set.Load().Overlaps(p) }

// Put replaces the prefixes of an origin of the caller's own.
func (l *List) Put(origin string, prefixes []netip.Prefix) {
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	if l.put(origin, prefixes) {
		l.swap()
	}
}

// Refresh looks the names up and reads the files again. What fails keeps its last answer; the errors are joined.
func (l *List) Refresh(ctx context.Context) []error {
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	var errs []error
	changed := false
	for _, name := range l.names {
		prefixes, err := l.lookup(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("look up %s of the never-list (its last answer is kept): %w", name, err))
			continue
		}
		changed = l.put("name "+name, prefixes) || changed
	}
	for i := range l.files {
		renewed, faults := l.read(ctx, &l.files[i])
		changed, errs = renewed || changed, append(errs, faults...)
	}
	if changed {
		l.swap()
	}
	return errs
}

// RefreshFiles reads those files again that were changed since they were read.
func (l *List) RefreshFiles(ctx context.Context) []error {
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	var errs []error
	changed := false
	for i := range l.files {
		f := &l.files[i]
		if now, ok := l.stampOf(f.path); !ok || now == f.seen {
			continue
		}
		renewed, faults := l.read(ctx, f)
		changed, errs = renewed || changed, append(errs, faults...)
	}
	if changed {
		l.swap()
	}
	return errs
}

// HasFiles tells whether the list takes entries from files.
func (l *List) HasFiles() bool { return len(l.files) > 0 }

// Files are the files that the list takes entries from.
func (l *List) Files() (paths []string) {
	for _, f := range l.files {
		paths = append(paths, f.path)
	}
	return paths
}

// Through has the list's files read by somebody who may, from now on.
func (l *List) Through(open func(path string) (*os.File, error), stat func(path string) (os.FileInfo, error)) {
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	l.stat = stat
	l.readFile = func(path string) ([]byte, error) {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxListFile+1))
		if err == nil && len(data) > maxListFile {
			err = fmt.Errorf("%s: want a file of at most %d bytes", path, maxListFile)
		}
		return data, err
	}
}

// read reads a file and looks the names in it up. A name that cannot be looked up keeps its last answer.
func (l *List) read(ctx context.Context, f *listFile) (changed bool, errs []error) {
	f.seen, _ = l.stampOf(f.path)
	data, err := l.readFile(f.path)
	if err != nil {
		return false, []error{fmt.Errorf("read never-list file (what it held is kept): %w", err)}
	}
	prefixes, names, errs := parseFile(f.path, data)
	changed = l.put("file "+f.path, prefixes)
	origin := func(name string) string { return "name " + name + " in " + f.path }
	for _, name := range f.names {
		if !slices.Contains(names, name) {
			changed = l.put(origin(name), nil) || changed
			delete(l.known, origin(name))
		}
	}
	f.names = names
	ctx, cancel := context.WithTimeout(ctx, filesTimeout)
	defer cancel()
	for _, name := range names {
		found, err := l.lookup(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("look up %s in %s (its last answer is kept): %w", name, f.path, err))
			continue
		}
		changed = l.put(origin(name), found) || changed
	}
	return changed, errs
}

func (l *List) stampOf(path string) (stamp, bool) {
	st, err := l.stat(path)
	if err != nil {
		return stamp{}, false
	}
	return stamp{st.ModTime(), st.Size()}, true
}

func (l *List) lookup(ctx context.Context, name string) ([]netip.Prefix, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := l.resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", name)
	}
	var out []netip.Prefix
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		out = append(out, single(a))
	}
	return out, nil
}

func (l *List) put(origin string, prefixes []netip.Prefix) (changed bool) {
	prefixes = slices.Clone(prefixes)
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	prefixes = slices.Compact(prefixes)
	if before, known := l.known[origin]; known && slices.Equal(before, prefixes) {
		return false
	}
	l.known[origin] = prefixes
	if l.changed != nil {
		l.changed(origin, prefixes)
	}
	return true
}

func (l *List) swap() {
	var all []netip.Prefix
	for _, p := range l.known {
		all = append(all, p...)
	}
	l.set.Store(NewSet(all...))
}

// Origins gives the prefixes by where they come from.
func (l *List) Origins() map[string][]netip.Prefix {
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	return maps.Clone(l.known)
}

// parseFile reads entries that are separated by white space or commas: addresses, prefixes, host names. "#" and ";" begin a comment. A faulty
// entry costs itself.
func parseFile(path string, data []byte) (out []netip.Prefix, names []string, faults []error) {
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n' }) {
			p, err := ParsePrefix(word)
			name := strings.TrimSuffix(word, ".")
			switch {
			case len(out) >= maxFromFile:
				return out, names, append(faults, fmt.Errorf("%s:%d: more than %d entries: the rest is left out", path, number, maxFromFile))
			case err == nil:
				out = append(out, p)
			case validName(word) && len(names) < maxFileNames:
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			case len(faults) < 10:
				faults = append(faults, fmt.Errorf("%s:%d: %.100q is no address, no prefix and no name, or one name too many", path, number, word))
			}
		}
	}
	return out, names, faults
}

func readBounded(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxListFile {
		return nil, fmt.Errorf("%s: want a regular file of at most %d bytes", path, maxListFile)
	}
	return os.ReadFile(path)
}

// validName tells whether text may be a host name (RFC 1123 section 2.1, and the underscore that is seen in practice). What
// ends in a number is meant as an address.
func validName(text string) bool {
	text = strings.TrimSuffix(text, ".")
	if text == "" || len(text) > 253 {
		return false
	}
	labels := strings.Split(text, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i] | 0x20
			if !('a' <= c && c <= 'z' || '0' <= label[i] && label[i] <= '9' || label[i] == '-' || label[i] == '_') {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != ""
}
