package privsep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"pfwarden/pfctl"
)

// Kinds of reply.
const (
	replyDone   byte = 1 + iota
	replyStream      // pfctl's output comes through the pipe handed over; another reply follows at its end
	replyErrno       // the system's error of an open or capture request
	replyRefuse      // the request was refused
	replyFail        // pfctl could not be run, or an entry of the never-list not be taken
	replyHooks       // to no request: a process that runs commands has been started, its socket is handed over
	replyEnd         // to no request: the worker is about to be stopped; what follows it, and actions that stay as they are
	replyKept        // to no request: a changed configuration was not taken over, and why
	replyFeed        // the addresses of a table request are to be written into the pipe handed over; another reply follows
)

// Causes of replyFail.
const (
	failOther byte = iota
	failStuck
	failKilled
	failNoPF
	failNoProgram
	failNotGuarded
)

// maxStderr bounds what is handed on of pfctl's standard error.
const maxStderr = 16 << 10

// ErrRefused is the worker's error for a request that the privileged process refused.
var ErrRefused = errors.New("refused by the privileged process")

func encodeResult(res pfctl.Result) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(int32(res.Exit))) //nolint:gosec // an exit status
	return append(b, res.Stderr[:min(len(res.Stderr), maxStderr)]...)
}

func decodeResult(b []byte) (pfctl.Result, error) {
	if len(b) < 4 {
		return pfctl.Result{}, fmt.Errorf("result of pfctl: %w", errProtocol)
	}
	return pfctl.Result{Exit: int(int32(binary.BigEndian.Uint32(b))), Stderr: b[4:]}, nil //nolint:gosec // as it was written
}

func encodeFailure(err error) []byte {
	cause := failOther
	switch {
	case errors.Is(err, pfctl.ErrStuck):
		cause = failStuck
	case errors.Is(err, pfctl.ErrKilled):
		cause = failKilled
	case errors.Is(err, pfctl.ErrNoProgram):
		cause = failNoProgram
	case errors.Is(err, pfctl.ErrNoPF):
		cause = failNoPF
	case errors.Is(err, ErrNotGuarded):
		cause = failNotGuarded
	}
	text := err.Error()
	return append([]byte{cause}, text[:min(len(text), 1024)]...)
}

func decodeFailure(b []byte) error {
	if len(b) == 0 {
		return errProtocol
	}
	text := string(b[1:])
	kinds := map[byte]error{
		failStuck: pfctl.ErrStuck, failKilled: pfctl.ErrKilled, failNoPF: pfctl.ErrNoPF, failNoProgram: pfctl.ErrNoProgram,
		failNotGuarded: ErrNotGuarded,
	}
	if kind := kinds[b[0]]; kind != nil {
		return &childFailure{text, kind}
	}
	return errors.New(text)
}

// childFailure is what came to no result over there, in the words it had there.
type childFailure struct {
	text string
	kind error
}

func (f *childFailure) Error() string { return f.text }

// Unwrap gives the error that it is, of pfctl or ErrNotGuarded.
func (f *childFailure) Unwrap() error { return f.kind }

// status is what of a file's status the worker needs.
type status struct {
	name     string // without folder
	size     int64
	mode     fs.FileMode
	modified int64 // nanoseconds since 1970
	dev, ino uint64
}

func (s *status) append(b []byte) []byte {
	for _, v := range []uint64{uint64(s.size), uint64(s.mode), uint64(s.modified), s.dev, s.ino} { //nolint:gosec // taken back as they are
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.name))) //nolint:gosec // at most 255 bytes
	return append(b, s.name...)
}

func takeStatus(b []byte) (s status, rest []byte, err error) {
	if len(b) < 42 {
		return s, nil, fmt.Errorf("status of a file: %w", errProtocol)
	}
	v := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	s = status{size: int64(v(0)), mode: fs.FileMode(v(1)), modified: int64(v(2)), dev: v(3), ino: v(4)} //nolint:gosec // as they were written
	n := int(binary.BigEndian.Uint16(b[40:]))
	if len(b) < 42+n {
		return s, nil, fmt.Errorf("status of a file: %w", errProtocol)
	}
	s.name = string(b[42 : 42+n])
	return s, b[42+n:], nil
}

// info makes a status an fs.FileInfo with the fields of its syscall.Stat_t that tell files apart.
type info struct{ status }

var _ os.FileInfo = info{}

// Name is the file's name without its folder.
func (i info) Name() string { return i.name }

// Size is in bytes.
func (i info) Size() int64 { return i.size }

// Mode tells the type and the permissions.
func (i info) Mode() fs.FileMode { return i.mode }

// ModTime is when the file was changed.
func (i info) ModTime() time.Time { return time.Unix(0, i.modified) }

// IsDir tells whether it is a folder.
func (i info) IsDir() bool { return i.mode.IsDir() }

// Sys gives a *syscall.Stat_t of which only Dev and Ino are filled.
func (i info) Sys() any {
	var st syscall.Stat_t
	set(&st.Dev, i.dev)
	set(&st.Ino, i.ino)
	return &st
}

func set[T ~int32 | ~uint32 | ~int64 | ~uint64](to *T, v uint64) { *to = T(v) } //nolint:gosec // back to where it came from
