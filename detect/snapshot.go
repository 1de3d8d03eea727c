package detect

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
	"time"
)

const (
	snapshotMagic   = "pfwarden detector\n"
	snapshotVersion = 7
	snapshotMost    = 1 << 30 // bytes
	snapshotLife    = 7 * 24 * time.Hour
)

// Causes for which a snapshot is refused.
var (
	ErrSnapshotDamaged = errors.New("snapshot is damaged")
	ErrSnapshotVersion = errors.New("snapshot is of another version")
	ErrSnapshotStale   = errors.New("snapshot is too old, or from the future")
)

var ecma = crc64.MakeTable(crc64.ECMA)

// Snapshot writes the detector's state: everything that its next verdicts depend on but the configuration and the never-list.
func (d *Detector) Snapshot(w io.Writer) error {
	sum := crc64.New(ecma)
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
	e := &encoder{b: make([]byte, 0, 1<<16)}
	flush := func() error {
		_, err := out.Write(e.b)
		e.b = e.b[:0]
		return err
	}
	e.b = append(e.b, snapshotMagic...)
	e.u(snapshotVersion)
	e.word(d.config.Seed)
	e.i(d.now)
	var err error
	for _, section := range []func(*encoder, func() error) error{d.saveScan, d.saveContacts, d.saveBans, d.saveLogs, d.savePrefixes, d.saveGuesses} {
		if err = section(e, flush); err == nil {
			err = flush()
		}
		if err != nil {
			return fmt.Errorf("write snapshot: %w", err)
		}
	}
	if err = out.Flush(); err == nil {
		_, err = w.Write(binary.LittleEndian.AppendUint64(nil, sum.Sum64()))
	}
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

// summed reads through a checksum. It reads byte by byte from a buffer, so that nothing after the snapshot is summed.
type summed struct {
	r   *bufio.Reader
	sum uint64
	one [1]byte
}

func (s *summed) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.sum = crc64.Update(s.sum, ecma, b[:n])
	return n, err
}

func (s *summed) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.one[0] = b
		s.sum = crc64.Update(s.sum, ecma, s.one[:])
	}
	return b, err
}

// Restore replaces the detector's state, its seed included, by a snapshot's. Sections whose tables or jails are configured otherwise today are
// taken over as far as they fit. now is the time of the restart; a snapshot older than a week, or from the future, is refused; zero takes any.
// After an error the detector is as new; the error wraps one of ErrSnapshotDamaged, ErrSnapshotVersion and ErrSnapshotStale.
func (d *Detector) Restore(r io.Reader, now time.Time) error {
	err := d.restore(r, now)
	if err != nil {
		config := d.config
		fresh, fault := New(config)
		if fault != nil {
			return fmt.Errorf("restore snapshot: %w", errors.Join(err, fault))
		}
		fresh.tap, fresh.stats = d.tap, d.stats
		*d = *fresh
		return fmt.Errorf("restore snapshot: %w", err)
	}
	return nil
}

func (d *Detector) restore(r io.Reader, now time.Time) error {
	in := &summed{r: bufio.NewReaderSize(r, 1<<16)}
	x := &decoder{r: in, left: snapshotMost}
	magic := make([]byte, len(snapshotMagic))
	x.bytes(magic)
	if x.err == nil && string(magic) != snapshotMagic {
		return fmt.Errorf("%w: it does not begin as one", ErrSnapshotDamaged)
	}
	if v := x.u(); x.err == nil && v != snapshotVersion {
		return fmt.Errorf("%w: %d, expected %d", ErrSnapshotVersion, v, snapshotVersion)
	}
	config := d.config
	config.Seed = x.word()
	at := x.i()
	if x.err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshotDamaged, x.err)
	}
	if !now.IsZero() && at != math.MinInt64 {
		if age := nanos(now) - at; age > int64(snapshotLife) || age < -int64(24*time.Hour) {
			return fmt.Errorf("%w: it is of %s", ErrSnapshotStale, time.Unix(0, at).UTC().Format(time.RFC3339))
		}
	}
	fresh, err := New(config)
	if err != nil {
		return err
	}
	fresh.now, fresh.tap, fresh.stats = at, d.tap, d.stats
	for _, section := range []func(*decoder){fresh.loadScan, fresh.loadContacts, fresh.loadBans, fresh.loadLogs, fresh.loadPrefixes, fresh.loadGuesses} {
		section(x)
		if x.err != nil {
			return fmt.Errorf("%w: %w", ErrSnapshotDamaged, x.err)
		}
	}
	var sum [8]byte
	want := in.sum
	if _, err := io.ReadFull(in.r, sum[:]); err != nil || binary.LittleEndian.Uint64(sum[:]) != want {
		return fmt.Errorf("%w: its checksum is wrong", ErrSnapshotDamaged)
	}
	*d = *fresh
	return nil
}

// words saves a table of words: runs of zeros by their length.
func (e *encoder) words(w []uint64, flush func() error) error {
	e.n(len(w))
	for i := 0; i < len(w); {
		zeros := i
		for zeros < len(w) && w[zeros] == 0 {
			zeros++
		}
		set := zeros
		for set < len(w) && w[set] != 0 && set-zeros < 512 {
			set++
		}
		e.n(zeros - i)
		e.n(set - zeros)
		for _, v := range w[zeros:set] {
			e.word(v)
		}
		i = set
		if len(e.b) > 1<<15 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// words fills w, and answers false (having read all the same) where the saved table has another size.
func (d *decoder) words(w []uint64) bool {
	n := d.n(1 << 27)
	fits := n == len(w)
	for i := 0; i < n && d.err == nil; {
		zeros := d.n(n - i)
		i += zeros
		set := d.n(n - i)
		for range set {
			if d.err != nil {
				return false
			}
			if v := d.word(); fits {
				w[i] = v
			}
			i++
		}
		if zeros+set == 0 && d.err == nil {
			d.fail("a run of nothing")
		}
	}
	return fits
}

// entry is one entry of a fixed table, saved as width bytes, little endian.
type entry[T any] interface {
	*T
	width() int
	used() bool
	append([]byte) []byte
	parse([]byte)
}

// raw saves the used entries of a table with their places.
func raw[T any, P entry[T]](e *encoder, table []T, flush func() error) error {
	n := 0
	for i := range table {
		if P(&table[i]).used() {
			n++
		}
	}
	e.n(len(table))
	e.n(n)
	e.n(P(&table[0]).width())
	last := 0
	for i := range table {
		if !P(&table[i]).used() {
			continue
		}
		e.n(i - last)
		last = i
		e.b = P(&table[i]).append(e.b)
		if len(e.b) > 1<<15 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// entries reads what raw saved and calls place with each entry and its old place; size is that of the table saved.
func entries[T any, P entry[T]](d *decoder, place func(i, size int, v *T)) {
	size := d.n(1 << 28)
	n := d.n(size)
	var v T
	if got := d.n(1 << 16); got != P(&v).width() && d.err == nil {
		d.fail("an entry of another layout")
	}
	if d.err != nil {
		return
	}
	b := make([]byte, P(&v).width())
	i := 0
	for range n {
		if i += d.n(size); i >= size {
			d.fail("an entry after its table")
		}
		if d.bytes(b); d.err != nil {
			return
		}
		P(&v).parse(b)
		place(i, size, &v)
	}
}
