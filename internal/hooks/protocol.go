package hooks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Between the worker and the process that runs commands: frames of a header (kind, three zero bytes, number, length of the payload; big-endian)
// and a payload.
const (
	askRun    byte = 1 + iota // a command of an action: its ID and values
	askIgnore                 // an ignore command: its ID and values
	askNote                   // a line for fail2ban's log
	askCancel                 // give up the request of this number

	sayDone   byte = 0x80 + iota // it ended: exit status
	sayFailed                    // it did not: cause and text
)

// Causes of sayFailed.
const (
	causeOther byte = iota
	causeTime
	causeRefused
	causeBusy
)

const (
	frameHeader = 12
	maxFrame    = maxValues + maxTags*8 + 64
	maxText     = 2000 // of what a failed command said
	maxNoteText = 1024
)

var (
	errProtocol = errors.New("not the protocol of the process that runs commands")
	// ErrRefused is what the process that runs commands answers to what its configuration does not know.
	ErrRefused = errors.New("refused by the process that runs commands")
	errBusy    = errors.New("too many commands at once")
)

// frame is one message.
type frame struct {
	kind    byte
	number  uint32
	payload []byte
}

func (f *frame) encode() []byte {
	b := make([]byte, frameHeader, frameHeader+len(f.payload))
	b[0] = f.kind
	binary.BigEndian.PutUint32(b[4:], f.number)
	binary.BigEndian.PutUint32(b[8:], uint32(len(f.payload))) //nolint:gosec // bounded by the callers
	return append(b, f.payload...)
}

// readFrame reads the next frame; io.EOF is the other side's end between two frames.
func readFrame(r io.Reader) (f frame, err error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return f, err
	}
	size := binary.BigEndian.Uint32(h[8:])
	if h[1]|h[2]|h[3] != 0 || size > maxFrame {
		return f, fmt.Errorf("header % x: %w", h, errProtocol)
	}
	f = frame{kind: h[0], number: binary.BigEndian.Uint32(h[4:]), payload: make([]byte, size)}
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return f, fmt.Errorf("a frame cut short: %w: %w", errProtocol, err)
	}
	return f, nil
}

// run is a request to run a command.
type run struct {
	id     ID
	values []value
}

// value is that of the tag with this number.
type value struct {
	tag  uint16
	text string
}

func (r *run) encode() []byte {
	b := slices.Clone(r.id[:])
	for _, v := range r.values {
		b = binary.BigEndian.AppendUint16(b, v.tag)
		b = binary.BigEndian.AppendUint32(b, uint32(len(v.text))) //nolint:gosec // bounded by gather
		b = append(b, v.text...)
	}
	return b
}

// parseRun reads what encode writes, and nothing else: tags in ascending order, no NUL in a value, no value longer than it may be.
func parseRun(b []byte) (*run, error) {
	if len(b) < len(ID{}) {
		return nil, fmt.Errorf("request cut short: %w", errProtocol)
	}
	r := &run{id: ID(b[:len(ID{})])}
	last, total := -1, 0
	for b = b[len(ID{}):]; len(b) > 0; {
		if len(b) < 6 {
			return nil, fmt.Errorf("value cut short: %w", errProtocol)
		}
		tag, size := binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])
		if b = b[6:]; size > maxValue || int(size) > len(b) {
			return nil, fmt.Errorf("value of %d bytes: %w", size, errProtocol)
		}
		n := int(size)
		if total += n; int(tag) <= last || int(tag) >= maxTags || total > maxValues || slices.Contains(b[:n], 0) {
			return nil, fmt.Errorf("value of tag %d: %w", tag, errProtocol)
		}
		last = int(tag)
		r.values = append(r.values, value{tag, string(b[:n])})
		b = b[n:]
	}
	return r, nil
}

// note is a line for fail2ban's log.
type note struct {
	at            time.Time
	unban         bool
	jail, address string
}

func (n *note) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(n.at.UnixMilli())) //nolint:gosec // taken back as it is
	verb := byte(0)
	if n.unban {
		verb = 1
	}
	b = append(b, verb, byte(len(n.jail)))
	b = append(b, n.jail...)
	return append(b, n.address...)
}

func parseNote(b []byte) (n note, err error) {
	if len(b) < 10 || b[8] > 1 || len(b) < 10+int(b[9]) || len(b) > 10+int(b[9])+maxNoteText {
		return n, fmt.Errorf("note of %d bytes: %w", len(b), errProtocol)
	}
	jail := 10 + int(b[9])
	return note{
		at:    time.UnixMilli(int64(binary.BigEndian.Uint64(b))), //nolint:gosec // as it was written
		unban: b[8] == 1, jail: string(b[10:jail]), address: string(b[jail:]),
	}, nil
}

func encodeDone(status int) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(int32(status))) //nolint:gosec // an exit status
}

func encodeFailed(cause byte, text string) []byte {
	return append([]byte{cause}, cut(text, maxText)...)
}
