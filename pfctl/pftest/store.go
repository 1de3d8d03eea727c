package pftest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateMagic begins a state file. It ends in the version of the format.
const stateMagic = "pftest state 1\n"

// header is everything of a PF but the entries of its tables, which follow in binary.
type header struct {
	Profile     string
	Enabled     bool
	StatusSince int64
	Offset      time.Duration
	Securelevel int
	Limit       int
	LimitSet    bool
	RequestMax  int
	NextState   uint64
	Faults      map[Fault]int
	FaultText   string // what was last asked for from outside, so that it is taken once
	Limits      map[string]int
	Info        infoCounters
	Sets        []setHeader
	States      []*connState
}

type setHeader struct {
	Path   string
	Rules  []*rule
	Tables []tableHeader
}

type tableHeader struct {
	Name                            string
	Const, Persist, Active, Counted bool
	Refs, Linger                    int
	LingerUntil                     int64
	Match, NoMatch                  uint64
	Counters                        counters
	Cleared                         int64
	Drift                           int
	Entries                         int
}

// Store keeps a PF in a folder, shared by processes. Open locks it; Close writes it and lets go.
type Store struct {
	PF   *PF
	dir  string
	lock *os.File
	// FaultText is what PFTEST_FAULTS held when faults were last taken from it.
	FaultText string
}

// Open reads the PF of a folder, a new one if there is none, and holds the folder's lock until Close.
func Open(dir string, prof Profile, opts ...Option) (*Store, error) {
	if dir == "" {
		return nil, errors.New("pf state: no folder given; set PFTEST_STATE")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("pf state: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("pf state: %w", err)
	}
	s := &Store{PF: New(prof, opts...), dir: dir, lock: lock}
	if err := s.clock(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("pf state: %w", err)
	}
	if err := s.read(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("pf state %s: %w", s.path(), err)
	}
	return s, nil
}

// How the clock of a stored PF goes.
const (
	scriptGap  = 2 * time.Second       // runs that follow each other faster are one script's
	scriptStep = 30 * time.Millisecond // and take so long at most
)

// clock sets PF's clock. It follows the machine's, but between runs that follow each other fast it goes on by scriptStep at most, so
// that a script sees the same ages on a slow machine as on a fast one; pfpkt moves it on purpose.
func (s *Store) clock() error {
	path := filepath.Join(s.dir, "clock")
	now := time.Now()
	pf := now
	if data, err := os.ReadFile(path); err == nil && len(data) == 16 {
		gap := now.Sub(time.Unix(0, int64(binary.LittleEndian.Uint64(data))))
		if gap < scriptGap {
			gap = min(max(gap, 0), scriptStep)
		}
		pf = time.Unix(0, int64(binary.LittleEndian.Uint64(data[8:]))).Add(gap)
	}
	s.PF.clock = func() time.Time { return pf }
	b := binary.LittleEndian.AppendUint64(nil, uint64(now.UnixNano()))
	return os.WriteFile(path, binary.LittleEndian.AppendUint64(b, uint64(pf.UnixNano())), 0o644)
}

func (s *Store) path() string { return filepath.Join(s.dir, "state") }

// Close writes the PF, if write says that it may have changed, and lets go of the folder.
func (s *Store) Close(write bool) error {
	defer s.lock.Close()
	if !write {
		return nil
	}
	if err := s.write(); err != nil {
		return fmt.Errorf("pf state %s: %w", s.path(), err)
	}
	return nil
}

// write replaces the file at once, so that a killed process leaves the old one.
func (s *Store) write() error {
	f, err := os.CreateTemp(s.dir, "state.*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left of that name
	w := bufio.NewWriterSize(f, 1<<18)
	if err := s.PF.encode(w, s.FaultText); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path())
}

func (s *Store) read() error {
	data, err := os.ReadFile(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s.FaultText, err = s.PF.decode(data)
	return err
}

// Entry records: family and flags, mask, weight, cleared, address; then, if flagged, counters.
const (
	flagSix   = 1
	flagNot   = 2
	flagCount = 4

	recordLen   = 1 + 1 + 2 + 8 + 16
	countersLen = 2 * 4 * 16
)

func (pf *PF) encode(w io.Writer, faultText string) error {
	h := header{Profile: pf.prof.Name, Enabled: pf.enabled, StatusSince: pf.statusSince, Offset: pf.offset, Securelevel: pf.securelevel,
		Limit: pf.limit, LimitSet: pf.limitSet, RequestMax: pf.requestMax, NextState: pf.nextState, Faults: pf.faults, FaultText: faultText, Limits: pf.limits, Info: pf.info, States: pf.states}
	var order []*table
	for _, path := range append([]string{""}, pf.paths()...) {
		rs := pf.sets[path]
		if rs == nil {
			continue
		}
		sh := setHeader{Path: path, Rules: rs.rules}
		for _, t := range rs.tables {
			sh.Tables = append(sh.Tables, tableHeader{t.name, t.konst, t.persist, t.active, t.counted, t.refs, t.linger, t.lingerUntil,
				t.match, t.nomatch, t.c, t.cleared, t.drift, t.size()})
			order = append(order, t)
		}
		h.Sets = append(h.Sets, sh)
	}
	for _, s := range h.States {
		s.RuleIndex = pf.indexOf(s)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, stateMagic); err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	var b []byte
	for _, t := range order {
		if t.raw != nil {
			if _, err := w.Write(t.raw); err != nil {
				return err
			}
			continue
		}
		for _, e := range t.entries {
			if b = e.encode(b[:0]); err == nil {
				_, err = w.Write(b)
			}
		}
	}
	return err
}

// indexOf finds the rule of a state again, -1 if it was replaced.
func (pf *PF) indexOf(s *connState) int {
	if rs := pf.sets[s.RulePath]; rs != nil {
		for i, r := range rs.rules {
			if r == s.rule {
				return i
			}
		}
	}
	return -1
}

func (e *entry) encode(b []byte) []byte {
	flags := byte(0)
	if e.six {
		flags |= flagSix
	}
	if e.not {
		flags |= flagNot
	}
	if e.c != nil {
		flags |= flagCount
	}
	b = append(b, flags, e.bits)
	b = binary.LittleEndian.AppendUint16(b, uint16(e.weight))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.cleared))
	b = binary.LittleEndian.AppendUint64(b, e.hi)
	b = binary.LittleEndian.AppendUint64(b, e.lo)
	if e.c != nil {
		for _, dir := range e.c {
			for _, n := range dir {
				b = binary.LittleEndian.AppendUint64(b, n.Packets)
				b = binary.LittleEndian.AppendUint64(b, n.Bytes)
			}
		}
	}
	return b
}

var errDamaged = errors.New("damaged; remove it to begin anew")

func (pf *PF) decode(data []byte) (faultText string, err error) {
	if len(data) < len(stateMagic)+8 || string(data[:len(stateMagic)]) != stateMagic {
		return "", errDamaged
	}
	data = data[len(stateMagic):]
	n := binary.LittleEndian.Uint64(data)
	data = data[8:]
	if n > uint64(len(data)) {
		return "", errDamaged
	}
	var h header
	if err := json.Unmarshal(data[:n], &h); err != nil {
		return "", fmt.Errorf("%w: %w", errDamaged, err)
	}
	data = data[n:]
	pf.enabled, pf.statusSince, pf.offset, pf.securelevel = h.Enabled, h.StatusSince, h.Offset, h.Securelevel
	pf.limit, pf.limitSet, pf.requestMax, pf.nextState, pf.limits, pf.info, pf.states = h.Limit, h.LimitSet, h.RequestMax, h.NextState, h.Limits, h.Info, h.States
	if h.Faults != nil {
		pf.faults = h.Faults
	}
	for _, sh := range h.Sets {
		rs := pf.set(sh.Path)
		rs.rules = sh.Rules
		for _, r := range rs.rules {
			for _, s := range []*side{&r.Src, &r.Dst} {
				if s.NetS != "" {
					list, aerr := pf.parseAddress(s.NetS, false)
					if aerr != nil || len(list) != 1 {
						return "", errDamaged
					}
					s.Net = &list[0].key
				}
			}
		}
		for _, th := range sh.Tables {
			t := newTable(sh.Path, th.Name)
			t.konst, t.persist, t.active, t.counted = th.Const, th.Persist, th.Active, th.Counted
			t.refs, t.linger, t.lingerUntil = th.Refs, th.Linger, th.LingerUntil
			t.match, t.nomatch, t.c, t.cleared, t.drift = th.Match, th.NoMatch, th.Counters, th.Cleared, th.Drift
			if data, err = t.decode(data, th.Entries); err != nil {
				return "", err
			}
			rs.tables[th.Name] = t
		}
	}
	for _, s := range pf.states {
		if rs := pf.sets[s.RulePath]; rs != nil && s.RuleIndex >= 0 && s.RuleIndex < len(rs.rules) {
			s.rule = rs.rules[s.RuleIndex]
		}
	}
	pf.reindex()
	return h.FaultText, nil
}

// decode takes the records of a table, which are unpacked when somebody asks for them.
func (t *table) decode(data []byte, n int) ([]byte, error) {
	if n < 0 || n > len(data)/recordLen {
		return nil, errDamaged
	}
	rest := data
	for range n {
		if len(rest) < recordLen || rest[1] > 128 || rest[0]&flagSix == 0 && rest[1] > 32 {
			return nil, errDamaged
		}
		size := recordLen
		if rest[0]&flagCount != 0 {
			size += countersLen
		}
		if len(rest) < size {
			return nil, errDamaged
		}
		rest = rest[size:]
	}
	if n > 0 {
		t.raw, t.rawLen = data[:len(data)-len(rest)], n
	}
	return rest, nil
}

// unpack makes entries of records that decode has found sound.
func (t *table) unpack() {
	data := t.raw
	slab := make([]entry, t.rawLen)
	t.entries = make(map[key]*entry, t.rawLen)
	t.raw, t.rawLen = nil, 0
	for i := range slab {
		e := &slab[i]
		flags := data[0]
		e.six, e.not, e.bits = flags&flagSix != 0, flags&flagNot != 0, data[1]
		e.weight = int(binary.LittleEndian.Uint16(data[2:]))
		e.cleared = int64(binary.LittleEndian.Uint64(data[4:]))
		e.hi, e.lo = binary.LittleEndian.Uint64(data[12:]), binary.LittleEndian.Uint64(data[20:])
		data = data[recordLen:]
		if flags&flagCount != 0 {
			e.c = &counters{}
			for dir := range e.c {
				for op := range e.c[dir] {
					e.c[dir][op].Packets, e.c[dir][op].Bytes = binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
					data = data[16:]
				}
			}
		}
		t.insert(e)
	}
}
