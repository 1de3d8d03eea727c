package privsep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// headerSize is that of a frame's header: kind, three zero bytes, number, length of the payload, both big-endian.
const headerSize = 12

// Bounds of a payload, in bytes.
const (
	maxRequest = 24 << 10 // a table request of maxInline addresses with two names
	maxReply   = 8 << 20  // the names of a glob
)

// errProtocol is what a peer gets for a frame that the protocol does not know. The connection is over then.
var errProtocol = errors.New("breach of the protocol")

// frame is one message.
type frame struct {
	kind    byte
	number  uint32
	payload []byte
	file    *os.File // handed over with it; nil: none
}

// wire is one end of the socket. Writing may be done by several goroutines, reading by one.
type wire struct {
	conn *net.UnixConn
	mu   sync.Mutex
}

// newWire takes over a descriptor of a connected unix stream socket.
func newWire(f *os.File) (*wire, error) {
	defer f.Close() // FileConn has its own
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("socket between the processes: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("socket between the processes: no unix socket"), c.Close())
	}
	return &wire{conn: u}, nil
}

// socketPair makes the two ends.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return os.NewFile(uintptr(fds[0]), "guard"), os.NewFile(uintptr(fds[1]), "worker"), nil
}

func (w *wire) send(f frame) error {
	buf := make([]byte, headerSize, headerSize+len(f.payload))
	buf[0] = f.kind
	binary.BigEndian.PutUint32(buf[4:], f.number)
	binary.BigEndian.PutUint32(buf[8:], uint32(len(f.payload))) //nolint:gosec // bounded by the callers
	buf = append(buf, f.payload...)
	var oob []byte
	if f.file != nil {
		oob = unix.UnixRights(int(f.file.Fd()))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n, _, err := w.conn.WriteMsgUnix(buf, oob, nil)
	for err == nil && n < len(buf) {
		var more int
		more, err = w.conn.Write(buf[n:])
		n += more
	}
	return err
}

// receive reads the next frame. fds says whether descriptors may come with it; those that may not are closed and errProtocol.
func (w *wire) receive(maxPayload int, fds bool) (f frame, err error) {
	defer func() {
		if err != nil && f.file != nil {
			f.file.Close()
			f.file = nil
		}
	}()
	var header [headerSize]byte
	oob := make([]byte, unix.CmsgSpace(4*4))
	got := 0
	for got < headerSize {
		n, oobn, flags, _, err := w.conn.ReadMsgUnix(header[got:], oob)
		if oobn > 0 || flags&unix.MSG_CTRUNC != 0 {
			files, ferr := rights(oob[:oobn])
			if ferr != nil || len(files) != 1 || !fds || f.file != nil || flags&unix.MSG_CTRUNC != 0 {
				for _, x := range files {
					x.Close()
				}
				return f, fmt.Errorf("descriptors that were not asked for: %w", errProtocol)
			}
			f.file = files[0]
		}
		if err != nil {
			return f, err
		}
		if n == 0 {
			return f, net.ErrClosed
		}
		got += n
	}
	f.kind, f.number = header[0], binary.BigEndian.Uint32(header[4:])
	size := binary.BigEndian.Uint32(header[8:])
	if header[1]|header[2]|header[3] != 0 || uint64(size) > uint64(maxPayload) { //nolint:gosec // positive
		return f, fmt.Errorf("header % x: %w", header, errProtocol)
	}
	if size == 0 {
		return f, nil
	}
	f.payload = make([]byte, size)
	for got := 0; got < len(f.payload); {
		n, oobn, flags, _, err := w.conn.ReadMsgUnix(f.payload[got:], oob)
		if oobn > 0 || flags&unix.MSG_CTRUNC != 0 {
			files, _ := rights(oob[:oobn])
			for _, x := range files {
				x.Close()
			}
			return f, fmt.Errorf("descriptors within a message: %w", errProtocol)
		}
		if err != nil {
			return f, err
		}
		if n == 0 {
			return f, net.ErrClosed
		}
		got += n
	}
	return f, nil
}

// rights takes the descriptors out of control messages.
func rights(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // credentials or the like
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}

func (w *wire) close() error { return w.conn.Close() }
