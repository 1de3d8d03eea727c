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
	journalGaps   = 1 << 10   // damaged records that are passed over
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

// ErrJournalCut is the cause where a journal ends within a record, as after a crash. It wraps ErrJournal.
var ErrJournalCut = fmt.Errorf("%w: it ends within a record", ErrJournal)

// ErrDiverged says that a replayed journal asked the never-list other questions than the recorded run did: the configurations differ.
var ErrDiverged = errors.New("replay differs from the recorded run: is the configuration the same?")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Journal is a flight recorder in front of a detector: it writes every input in order of arrival and passes it on, and writes every verdict that results.
// After an error of the writer it records no more, but still passes inputs on; what was written before can be read as a journal.
type Journal struct {
	d    *Detector
	w    *bufio.Writer
	e    encoder
	emit func(Verdict) // the present caller's
	tell func(Verdict) // writes a verdict and calls emit
	err  error
}

// NewJournal begins a journal of d with its configuration and current state. Journals may be appended to each other in one file, as after a reload of
// the configuration.
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
	if n.User != "" { // journals of before there was this lack it
		e.s(n.User)
	}
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

// Lookahead and Ahead are the detector's: they lead to nothing that would have to be written.
func (j *Journal) Lookahead() int { return j.d.Lookahead() }

// Ahead passes on what comes.
func (j *Journal) Ahead(source netip.Addr) { j.d.Ahead(source) }

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
	Last         bool     // nothing of the same run follows: where it ended by a crash, verdicts and answers may be missing
	answers      []bool   // of the never-list, while this input was dealt with
}

// JournalReader reads a journal, or several one after the other.
type JournalReader struct {
	r      *bufio.Reader
	began  bool
	peeked []byte
	fresh  bool  // another journal begins with what is peeked
	fault  error // met while reading ahead
	gaps   int
	gap    error
}

// Gaps returns how often a journal that is followed by another could not be read to its end, as after a crash, and why the first time.
func (j *JournalReader) Gaps() (int, error) { return j.gaps, j.gap }

// NewJournalReader reads the journal's beginning.
func NewJournalReader(r io.Reader) *JournalReader {
	return &JournalReader{r: bufio.NewReaderSize(r, 1<<16)}
}

// record returns the next record's bytes; io.EOF at a clean end. Where a record is damaged, as the last one is after a crash, it goes on with
// the next journal after it, if there is one.
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
	for {
		if next, err := j.r.Peek(len(JournalMagic)); err == nil && string(next) == JournalMagic { // another journal follows
			_, _ = j.r.Discard(len(next)) // they are there
			j.fresh = true
		}
		var raw bytes.Buffer
		b, err := readRecord(j.r, &raw)
		if err == nil || err == io.EOF || j.gaps == journalGaps || !j.skip(&raw) {
			return b, err
		}
		if j.gaps++; j.gap == nil {
			j.gap = err
		}
	}
}

// skip goes to the beginning of the next journal, of raw, which was read already, or after it.
func (j *JournalReader) skip(raw *bytes.Buffer) bool {
	if raw.Len() > 0 {
		j.r = bufio.NewReaderSize(io.MultiReader(raw, j.r), 1<<16)
	}
	for {
		b, err := j.r.Peek(1 << 15)
		if i := bytes.Index(b, []byte(JournalMagic)); i >= 0 {
			_, _ = j.r.Discard(i)
			return true
		}
		if err != nil {
			return false
		}
		_, _ = j.r.Discard(len(b) - len(JournalMagic) + 1)
	}
}

// readRecord returns the bytes of the record that r begins with; io.EOF where there is none. What it read goes to raw too.
func readRecord(r *bufio.Reader, raw *bytes.Buffer) ([]byte, error) {
	head, err := r.Peek(binary.MaxVarintLen64)
	if len(head) == 0 {
		return nil, io.EOF
	}
	n, width := binary.Uvarint(head)
	switch {
	case width == 0 && err == io.EOF:
		return nil, ErrJournalCut
	case width <= 0 || n == 0 || n > journalRecord:
		raw.WriteByte(head[0])
		_, _ = r.Discard(1) // so that a search goes on after it
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrJournal, n)
	}
	// Grown as bytes come, so that a damaged length costs no memory.
	if got, err := io.CopyN(raw, r, int64(width)+4+int64(n)); err != nil {
		return nil, fmt.Errorf("%w, after %d of %d bytes", ErrJournalCut, got, int64(width)+4+int64(n))
	}
	b := raw.Bytes()[width+4:]
	if crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(raw.Bytes()[width:]) {
		return nil, fmt.Errorf("%w: a record's checksum is wrong", ErrJournal)
	}
	return b, nil
}

// Next returns the next input; io.EOF at the end. A journal whose last record was cut off, as by a crash, ends with ErrJournalCut.
func (j *JournalReader) Next() (Input, error) {
	b, err := j.record()
	if err != nil {
		return Input{}, err
	}
	j.fresh = false
	in, err := parseInput(b)
	if err != nil {
		return Input{}, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	for {
		b, err := j.record()
		if err != nil {
			in.Last, j.fault = true, err
			return in, nil
		}
		switch {
		case j.fresh:
			in.Last, j.peeked = true, b
			return in, nil
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
	n := &Notice{
		Time: d.time(), Kind: NoticeKind(d.n(numNotices - 1)), Source: d.prefix(), ID: d.s(), Jail: d.s(), Target: d.target(),
		Ours: d.bool(), Established: d.bool(), Until: d.time(), Count: int(d.i()),
	}
	if d.err == nil && d.left > 0 {
		n.User = d.s()
	}
	return n
}

// Play gives one input to the detector as the recorded run did, with the never-list's recorded answers. Of a run's last input, verdicts that are
// not recorded may be none of that run's.
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
	if diverged && !in.Last || len(answers) > 0 {
		return ErrDiverged
	}
	return nil
}
