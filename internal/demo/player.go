package demo

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/detect/filter/date"
	"pfwarden/internal/config"
	"pfwarden/internal/sample"
	"pfwarden/pfctl/pftest"
)

// entry is one record of the day: due at an offset from midnight.
type entry struct {
	due    time.Duration
	file   int    // of player.files
	bytes  []byte // a pcap record with its header, or a line with its end
	packet *pftest.Packet
}

// player writes the day's records when they are due.
type player struct {
	o       Options
	pf      *pftest.PF
	config  *config.Config
	entries []entry // by time
	files   []*os.File
	header  pflog.FileHeader
}

func newPlayer(o Options, pf *pftest.PF, c *config.Config) (*player, error) {
	p := &player{o: o, pf: pf, config: c}
	for i, name := range sample.Inputs() {
		text, err := readSample(name)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(o.Dir, name)
		if name == sample.Pflog {
			path = c.Pflog.File
		}
		f, err := os.Create(path)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.files = append(p.files, f)
		if name == sample.Pflog {
			err = p.loadPackets(i, text)
		} else {
			err = p.loadLines(i, text)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sample %s: %w", name, err), p.close())
		}
	}
	// Those of one file keep their order.
	slices.SortStableFunc(p.entries, func(a, b entry) int { return cmp.Compare(a.due, b.due) })
	return p, nil
}

func readSample(name string) ([]byte, error) {
	f, err := sample.Files().Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(r)
}

const (
	fileHeader   = 24 // bytes of a pcap file's header
	recordHeader = 16 // bytes of a record's
	anchorAt     = 20 // offset of the anchor's name in a pflog header
	anchorLen    = 16
)

func (p *player) loadPackets(file int, text []byte) error {
	if len(text) < fileHeader {
		return io.ErrUnexpectedEOF
	}
	var err error
	if p.header, err = pflog.ParseFileHeader(text[:fileHeader]); err != nil {
		return err
	}
	if _, err := p.files[file].Write(text[:fileHeader]); err != nil {
		return err
	}
	decoder := p.header.Decoder()
	for at := fileHeader; at+recordHeader <= len(text); {
		h := p.header.ParseRecordHeader(text[at : at+recordHeader])
		end := at + recordHeader + int(h.Captured)
		if h.Captured > pflog.MaxCapture || end > len(text) {
			return io.ErrUnexpectedEOF
		}
		record := bytes.Clone(text[at:end])
		var pk capture.Packet
		e := entry{due: h.Time.Sub(sample.Date()), file: file, bytes: record}
		if decoder.Decode(&pk, record[recordHeader:], h.Wire) == pflog.Accepted && pk.Direction == capture.In {
			e.packet = &pftest.Packet{
				Src: pk.Flow.Source, Dst: pk.Flow.Destination, Proto: int(pk.Protocol), SPort: pk.Flow.SourcePort, DPort: pk.Flow.DestinationPort,
				Length: int(pk.Length), Flags: int(pk.TCPFlags),
			}
		}
		p.entries = append(p.entries, e)
		at = end
	}
	return nil
}

func (p *player) loadLines(file int, text []byte) error {
	format, err := date.Compile("", date.Options{})
	if err != nil {
		return err
	}
	dates := format.NewDetector()
	ref := date.Reference{Now: sample.Date().Add(24 * time.Hour), Location: time.UTC, Fraction: true}
	var due time.Duration
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if m, ok := dates.Find(lines.Text(), ref.Now.Unix()); ok && m.Valid {
			if t, ok := m.Time(ref); ok {
				due = t.Sub(sample.Date())
			}
		}
		p.entries = append(p.entries, entry{due: due, file: file, bytes: append(bytes.Clone(lines.Bytes()), '\n')})
	}
	return lines.Err()
}

func (p *player) close() error {
	var errs []error
	for _, f := range p.files {
		errs = append(errs, f.Close())
	}
	p.files = nil
	return errors.Join(errs...)
}

// play writes each record when the clock comes to it.
func (p *player) play(ctx context.Context, c clock) error {
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for day := 0; p.o.Days == 0 || day < p.o.Days; day++ {
		midnight := p.o.Start.AddDate(0, 0, day)
		next := 0
		for day == 0 && next < len(p.entries) && p.entries[next].due < p.o.from {
			next++
		}
		for next < len(p.entries) {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
			banned := p.banned()
			for now := c.now().Sub(midnight); next < len(p.entries) && p.entries[next].due <= now; next++ {
				if err := p.write(&p.entries[next], midnight, banned); err != nil {
					return err
				}
			}
		}
		for c.now().Before(midnight.AddDate(0, 0, 1)) {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}
	return nil
}

func (p *player) banned() []string {
	list, _ := p.pf.Addresses(p.config.PF.Anchor, p.config.PF.Banned)
	return list
}

// write writes a record as it would have come on that day, past what the PF in memory blocks.
func (p *player) write(e *entry, midnight time.Time, banned []string) error {
	out := e.bytes
	if e.file == 0 {
		out = bytes.Clone(out)
		p.stamp(out, midnight.Add(e.due))
		if e.packet != nil {
			if _, dropped := p.pf.Packet(*e.packet); dropped > 0 {
				name := out[recordHeader+anchorAt : recordHeader+anchorAt+anchorLen]
				clear(name)
				copy(name[:anchorLen-1], p.config.PF.Anchor)
			}
		}
	} else {
		for _, address := range banned {
			if bytes.Contains(out, []byte(" "+address+" ")) || bytes.HasPrefix(out, []byte(address+" ")) || bytes.Contains(out, []byte("client "+address+":")) {
				return nil // PF stops it before the server sees it
			}
		}
		out = redate(out, midnight)
	}
	_, err := p.files[e.file].Write(out)
	return err
}

// stamp writes a time into a pcap record's header.
func (p *player) stamp(record []byte, t time.Time) {
	var order binary.ByteOrder = binary.LittleEndian
	if p.header.BigEndian {
		order = binary.BigEndian
	}
	fraction := uint32(t.Nanosecond())
	if !p.header.Nanoseconds {
		fraction /= 1000
	}
	order.PutUint32(record[0:], uint32(t.Unix()))
	order.PutUint32(record[4:], fraction)
}

// redate writes another day into a line: the samples' logs write theirs in three ways.
func redate(line []byte, day time.Time) []byte {
	for _, layout := range []string{"[Mon Jan 02 ", "[02/Jan/2006:", "Jan _2 "} {
		from := sample.Date().Format(layout)
		if bytes.Contains(line, []byte(from)) {
			line = bytes.Replace(line, []byte(from), []byte(day.Format(layout)), 1)
			return bytes.Replace(line, []byte(sample.Date().Format(" 2006]")), []byte(day.Format(" 2006]")), 1)
		}
	}
	return line
}
