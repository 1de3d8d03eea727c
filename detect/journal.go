package detect

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"time"
)

// JournalMagic begins every journal.
const JournalMagic = "pfwarden journal 1\n"

const (
	journalRecord = 256 << 20 // bytes of one record at most: a snapshot is the largest
	journalMost   = 1 << 16   // observations of one record
)

// Kinds of journal records.
const (
	journalStart   = 'S' // the detector's state when the journal began, as a snapshot
	journalObserve = 'O'
	journalNotice  = 'N'
	journalTick    = 'T'
	journalNever   = 'Q' // what the never-list answered during the input before it
	journalConfig  = 'C' // the detector's configuration from here on, as JSON
	journalVerdict = 'V' // what the input before it led to, as a line of the verdict log
)

// ErrJournal is the cause of every fault in a journal's bytes.
var ErrJournal = errors.New("not a journal, or a damaged one")

// ErrDiverged says that a replayed journal asked other questions than the recorded run: the configurations differ.
var ErrDiverged = errors.New("replay differs from the recorded run: is the configuration the same?")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Journal is a flight recorder in front of a detector: it writes every input in arrival order and passes it on, and every verdict that comes of
// it. What was written before an error is a whole journal; the detector works on.
type Journal struct {
	d    *Detector
	w    *bufio.Writer
	e    encoder
	emit func(Verdict) // the present caller's
	tell func(Verdict) // writes a verdict and calls emit
	err  error
}

// NewJournal begins a journal of d with its configuration and present state. Behind an earlier one it goes on with that, as after a reload of the
// configuration.
func NewJournal(w io.Writer, d *Detector) (*Journal, error) {
	j := &Journal{d: d, w: bufio.NewWriterSize(w, 1<<16)}
	_, j.err = j.w.WriteString(JournalMagic)
	var state bytes.Buffer
	if err := d.Snapshot(&state); err != nil {
		return nil, fmt.Errorf("begin journal: %w", err)
	}
	config := d.config
	config.Never = nil // its answers are recorded as they come
	settings, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("begin journal: %w", err)
	}
	j.e.b = append(append(j.e.b[:0], journalConfig), settings...)
	j.write()
	j.e.b = append(append(j.e.b[:0], journalStart), state.Bytes()...)
	j.write()
	j.tell = func(v Verdict) {
		j.e.b = v.AppendJSON(append(j.e.b[:0], journalVerdict))
		j.write()
		j.emit(v)
	}
	d.tap = func(_ netip.Addr, answer bool) bool {
		j.e.b = append(j.e.b[:0], journalNever)
		j.e.bool(answer)
		j.write()
		return answer
	}
	if j.err != nil {
		return nil, fmt.Errorf("begin journal: %w", j.err)
	}
	return j, nil
}

// write writes e.b as one record: length, checksum, bytes.
func (j *Journal) write() {
	if j.err != nil {
		return
	}
	var head [binary.MaxVarintLen64 + 4]byte
	n := binary.PutUvarint(head[:], uint64(len(j.e.b)))
	binary.LittleEndian.PutUint32(head[n:], crc32.Checksum(j.e.b, castagnoli))
	if _, j.err = j.w.Write(head[:n+4]); j.err == nil {
		_, j.err = j.w.Write(j.e.b)
	}
}

// Observe writes and passes on all observations of one record.
func (j *Journal) Observe(obs []Observation, emit func(Verdict)) {
	e := &j.e
	e.b = append(e.b[:0], journalObserve)
	e.n(len(obs))
	for i := range obs {
		o := &obs[i]
		e.time(o.Time)
		e.time(o.Read)
		e.addr(o.Source)
		e.s(o.ID)
		e.s(o.Jail)
		e.n(int(o.Kind))
		e.target(&o.Target)
		e.n(int(o.Mark))
		e.n(int(o.TTL))
		e.i(int64(o.Count))
		e.bool(o.Proven)
		e.s(o.Text)
		e.s(o.User)
		e.fields(o.Fields)
	}
	j.write()
	j.emit = emit
	j.d.Observe(obs, j.tell)
}

// Notice writes and passes on a notice.
func (j *Journal) Notice(n Notice) {
	e := &j.e
	e.b = append(e.b[:0], journalNotice)
	e.time(n.Time)
	e.n(int(n.Kind))
	e.prefix(n.Source)
	e.s(n.ID)
	e.s(n.Jail)
	e.target(&n.Target)
	e.bool(n.Ours)
	e.bool(n.Established)
	e.time(n.Until)
	e.i(int64(n.Count))
	j.write()
	j.d.Notice(n)
}

// Tick writes and passes on a tick of the clock.
func (j *Journal) Tick(now time.Time) {
	j.e.b = append(j.e.b[:0], journalTick)
	j.e.time(now)
	j.write()
	j.d.Tick(now)
}

// Flush hands what was written to the underlying writer and returns the first error of the journal.
func (j *Journal) Flush() error {
	if j.err == nil {
		j.err = j.w.Flush()
	}
	if j.err != nil {
		return fmt.Errorf("write journal: %w", j.err)
	}
	return nil
}

// Input is one record of a journal: exactly one of its first five parts is set.
type Input struct {
	Observations []Observation
	Notice       *Notice
	Tick         time.Time
	Start        []byte   // a snapshot: the state in which the recorded run began
	Config       *Config  // the configuration from here on
	Verdicts     [][]byte // what the recorded run made of the input: lines of the verdict log
	answers      []bool   // of the never-list, while this input was dealt with
}

// JournalReader reads a journal.
type JournalReader struct {
	r      *bufio.Reader
	began  bool
	peeked []byte
	fault  error // met while reading ahead
}

// NewJournalReader reads the journal's beginning.
func NewJournalReader(r io.Reader) *JournalReader {
	return &JournalReader{r: bufio.NewReaderSize(r, 1<<16)}
}

// record returns the next record's bytes; io.EOF at a clean end.
func (j *JournalReader) record() ([]byte, error) {
	if p := j.peeked; p != nil {
		j.peeked = nil
		return p, nil
	}
	if j.fault != nil {
		return nil, j.fault
	}
	if !j.began {
		magic := make([]byte, len(JournalMagic))
		if _, err := io.ReadFull(j.r, magic); err != nil || string(magic) != JournalMagic {
			return nil, fmt.Errorf("%w: it does not begin as one", ErrJournal)
		}
		j.began = true
	}
	if next, err := j.r.Peek(len(JournalMagic)); err == nil && string(next) == JournalMagic { // a journal that goes on behind another
		_, _ = j.r.Discard(len(next)) // they are there
	}
	n, err := binary.ReadUvarint(j.r)
	switch {
	case err == io.EOF:
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrJournal, err)
	case n == 0 || n > journalRecord:
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrJournal, n)
	}
	var sum [4]byte
	if _, err := io.ReadFull(j.r, sum[:]); err != nil {
		return nil, fmt.Errorf("%w: it ends within a record", ErrJournal)
	}
	// Grown as bytes come, so that a damaged length costs no memory.
	var b bytes.Buffer
	if got, err := io.CopyN(&b, j.r, int64(n)); err != nil {
		return nil, fmt.Errorf("%w: it ends within a record, %d of %d bytes", ErrJournal, got, n)
	}
	if crc32.Checksum(b.Bytes(), castagnoli) != binary.LittleEndian.Uint32(sum[:]) {
		return nil, fmt.Errorf("%w: a record's checksum is wrong", ErrJournal)
	}
	return b.Bytes(), nil
}

// Next returns the next input; io.EOF at the end. A journal whose last record was cut off, as by a crash, ends with ErrJournal.
func (j *JournalReader) Next() (Input, error) {
	b, err := j.record()
	if err != nil {
		return Input{}, err
	}
	in, err := parseInput(b)
	if err != nil {
		return Input{}, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	for {
		b, err := j.record()
		if err == io.EOF {
			return in, nil
		}
		if err != nil {
			j.fault = err
			return in, nil
		}
		switch {
		case b[0] == journalNever && len(b) == 2 && b[1] <= 1:
			in.answers = append(in.answers, b[1] == 1)
		case b[0] == journalVerdict:
			in.Verdicts = append(in.Verdicts, b[1:])
		default:
			j.peeked = b
			return in, nil
		}
	}
}

func parseInput(b []byte) (in Input, err error) {
	d := &decoder{r: bytes.NewReader(b[1:]), left: len(b) - 1}
	switch b[0] {
	case journalStart:
		in.Start = b[1:]
		return in, nil
	case journalConfig:
		in.Config = &Config{}
		if err := json.Unmarshal(b[1:], in.Config); err != nil {
			return in, fmt.Errorf("a configuration: %w", err)
		}
		return in, nil
	case journalObserve:
		n := d.n(min(journalMost, len(b)))
		in.Observations = make([]Observation, n)
		for i := range in.Observations {
			d.observation(&in.Observations[i])
		}
	case journalNotice:
		in.Notice = d.notice()
	case journalTick:
		in.Tick = d.time()
	default:
		return in, fmt.Errorf("a record of unknown kind %q", b[0])
	}
	if d.err == nil && d.left > 0 {
		d.fail("bytes are left over")
	}
	return in, d.err
}

func (d *decoder) observation(o *Observation) {
	o.Time, o.Read, o.Source, o.ID, o.Jail = d.time(), d.time(), d.addr(), d.s(), d.s()
	o.Kind, o.Target, o.Mark, o.TTL = Kind(d.n(NumKinds-1)), d.target(), Mark(d.n(len(markNames)-1)), uint8(d.n(255))
	o.Count, o.Proven, o.Text, o.User, o.Fields = int(d.i()), d.bool(), d.s(), d.s(), d.fields()
}

func (d *decoder) notice() *Notice {
	return &Notice{
		Time: d.time(), Kind: NoticeKind(d.n(NumNotices - 1)), Source: d.prefix(), ID: d.s(), Jail: d.s(), Target: d.target(),
		Ours: d.bool(), Established: d.bool(), Until: d.time(), Count: int(d.i()),
	}
}

// Play gives one input to the detector as the recorded run did, with the never-list's recorded answers.
func (d *Detector) Play(in Input, emit func(Verdict)) error {
	answers, diverged := in.answers, false
	tap := d.tap
	defer func() { d.tap = tap }()
	d.tap = func(_ netip.Addr, own bool) bool {
		if len(answers) == 0 {
			diverged = true
			return own
		}
		a := answers[0]
		answers = answers[1:]
		return a
	}
	switch {
	case in.Config != nil:
		fresh, err := New(*in.Config)
		if err != nil {
			return fmt.Errorf("play journal: %w", err)
		}
		fresh.stats, fresh.tap = d.stats, d.tap
		if len(fresh.config.Jails) != len(d.config.Jails) {
			fresh.stats = counters{observations: make([][NumKinds]uint64, len(fresh.config.Jails)+1), verdicts: make([]verdictCount, len(fresh.config.Jails)+1)}
		}
		*d = *fresh
	case in.Start != nil:
		if err := d.Restore(bytes.NewReader(in.Start), time.Time{}); err != nil {
			return fmt.Errorf("play journal: %w", err)
		}
	case in.Notice != nil:
		d.Notice(*in.Notice)
	case in.Observations != nil:
		d.Observe(in.Observations, emit)
	default:
		d.Tick(in.Tick)
	}
	if diverged || len(answers) > 0 {
		return ErrDiverged
	}
	return nil
}
