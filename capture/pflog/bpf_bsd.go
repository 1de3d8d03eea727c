//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package pflog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	bpfBuffer  = 256 << 10              // asked for; the kernel may give less
	bpfMost    = 64 << 20               // more is no buffer of bpf(4)
	bpfTimeout = 250 * time.Millisecond // how long a read waits, so that closing is prompt
	bpfRet     = 0x06                   // BPF_RET|BPF_K
)

// bpfHandle captures by bpf(4) without libpcap.
type bpfHandle struct {
	file   *os.File
	fd     int
	layout bpfLayout
	link   uint32
	buf    []byte
	rest   []byte // of buf, not yet handed out
}

// OpenBPF opens a bpf device and binds it to the interface.
func OpenBPF(options LiveOptions) (Handle, error) {
	f, err := bpfDevice()
	if err != nil {
		return nil, err
	}
	h, err := NewBPF(f, options)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return h, nil
}

// bpfDevice opens the cloning device or the first one that is free.
func bpfDevice() (*os.File, error) {
	open := func(path string) (*os.File, error) {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return os.NewFile(uintptr(fd), path), nil
	}
	f, err := open("/dev/bpf")
	for i := 0; err != nil && i < 256; i++ {
		var numbered error
		if f, numbered = open(fmt.Sprintf("/dev/bpf%d", i)); numbered == nil {
			return f, nil
		} else if errors.Is(numbered, fs.ErrNotExist) {
			break
		} else if !errors.Is(numbered, unix.EBUSY) {
			return nil, numbered
		}
	}
	return f, err
}

// NewBPF binds an open bpf device to the interface and captures from it. The handle closes the file. On error the file is left open.
func NewBPF(f *os.File, options LiveOptions) (Handle, error) {
	size, err := bindBPF(f, options)
	if err != nil {
		return nil, err
	}
	return AttachBPF(f, size)
}

// OpenBPFDevice opens a bpf device, without any setting yet, for SetBPF.
func OpenBPFDevice() (*os.File, error) { return bpfDevice() }

// SetBPF binds a bpf device to the interface and locks it (BIOCLOCK, where the system has it), for a process without rights that goes on
// with AttachBPF and can neither bind it to another interface nor write to it. It returns the size of the kernel's buffer in bytes.
func SetBPF(f *os.File, options LiveOptions) (buffer uint32, err error) {
	if buffer, err = bindBPF(f, options); err != nil {
		return 0, err
	}
	if lockBPF != 0 {
		h := bpfHandle{fd: int(f.Fd())}
		if err := h.ioctl("BIOCLOCK", lockBPF, nil); err != nil {
			return 0, err
		}
	}
	return buffer, nil
}

// AttachBPF captures from a bpf device that was bound to a pflog interface already; buffer is the size of the kernel's buffer, as SetBPF gave
// it. It asks the kernel for nothing: OpenBSD's pledge(2) allows no ioctl(2) of bpf(4) but BIOCGSTATS. The handle closes the file.
// On error the file is left open.
func AttachBPF(f *os.File, buffer uint32) (Handle, error) {
	if buffer == 0 || buffer > bpfMost {
		return nil, fmt.Errorf("bpf: a buffer of %d bytes", buffer)
	}
	// Reads must ask for exactly the size of the kernel's buffer.
	return &bpfHandle{file: f, fd: int(f.Fd()), layout: hostLayout(), link: LinkPflog, buf: make([]byte, buffer)}, nil
}

// bindBPF makes all settings, after which only reading is left. It returns the size of the kernel's buffer.
func bindBPF(f *os.File, options LiveOptions) (buffer uint32, err error) {
	if options.Filter != "" {
		return 0, fmt.Errorf("capture filter %q: only libpcap can compile it: %w", options.Filter, errors.ErrUnsupported)
	}
	h := &bpfHandle{file: f, fd: int(f.Fd())}
	size := uint32(bpfBuffer)
	// The kernel cuts the wish down to its maximum; only after BIOCSETIF the size is fixed.
	if err := h.ioctl("BIOCSBLEN", unix.BIOCSBLEN, unsafe.Pointer(&size)); err != nil {
		return 0, err
	}
	var request [144]byte // struct ifreq, of which NetBSD's is the largest; the name is its first member
	if copy(request[:15], options.Interface) < len(options.Interface) {
		return 0, fmt.Errorf("%q is too long a name for an interface", options.Interface)
	}
	if err := h.ioctl("BIOCSETIF", unix.BIOCSETIF, unsafe.Pointer(&request)); err != nil {
		return 0, err
	}
	var link uint32
	if err := h.ioctl("BIOCGDLT", unix.BIOCGDLT, unsafe.Pointer(&link)); err != nil {
		return 0, err
	}
	if link != LinkPflog {
		return 0, fmt.Errorf("%w: link type %d, want %d (pflog)", ErrFormat, link, LinkPflog)
	}
	on := uint32(1)
	if err := h.ioctl("BIOCIMMEDIATE", unix.BIOCIMMEDIATE, unsafe.Pointer(&on)); err != nil {
		return 0, err
	}
	timeout := unix.NsecToTimeval(bpfTimeout.Nanoseconds())
	if err := h.ioctl("BIOCSRTIMEOUT", unix.BIOCSRTIMEOUT, unsafe.Pointer(&timeout)); err != nil {
		return 0, err
	}
	keep := unix.BpfInsn{Code: bpfRet, K: uint32(options.Snaplen)} // a program that accepts everything, cut to the snaplen
	program := unix.BpfProgram{Len: 1, Insns: &keep}
	if err := h.ioctl("BIOCSETF", unix.BIOCSETF, unsafe.Pointer(&program)); err != nil {
		return 0, err
	}
	if err := h.ioctl("BIOCGBLEN", unix.BIOCGBLEN, unsafe.Pointer(&buffer)); err != nil {
		return 0, err
	}
	return buffer, nil
}

// hostLayout is struct bpf_hdr of this system.
func hostLayout() bpfLayout {
	var h unix.BpfHdr
	return bpfLayout{
		secondsSize: int(unsafe.Sizeof(h.Tstamp.Sec)),
		microOffset: int(unsafe.Offsetof(h.Tstamp.Usec)),
		microSize:   int(unsafe.Sizeof(h.Tstamp.Usec)),
		lengths:     int(unsafe.Offsetof(h.Caplen)),
		align:       unix.BPF_ALIGNMENT,
		bigEndian:   binary.NativeEndian.Uint16([]byte{0, 1}) == 1,
	}
}

// Read returns the next packet of the buffer, and reads a new one if there is none.
func (h *bpfHandle) Read() (Record, error) {
	for len(h.rest) == 0 {
		n, err := unix.Read(h.fd, h.buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EWOULDBLOCK), err == nil && n <= 0:
			return Record{}, ErrIdle
		case err != nil: // ENXIO or EIO: the interface is gone
			return Record{}, os.NewSyscallError("read", err)
		}
		h.rest = h.buf[:n]
	}
	record, rest, err := h.layout.next(h.rest)
	h.rest = rest
	return record, err
}

func (h *bpfHandle) Statistics() (Statistics, error) {
	var s unix.BpfStat
	if err := h.ioctl("BIOCGSTATS", unix.BIOCGSTATS, unsafe.Pointer(&s)); err != nil {
		return Statistics{}, err
	}
	return Statistics{uint64(s.Recv), uint64(s.Drop)}, nil
}

func (h *bpfHandle) LinkType() uint32 { return h.link }

func (h *bpfHandle) Close() error { return h.file.Close() }

// ioctl calls ioctl(2). x/sys has no call that takes a pointer on all of these systems; on OpenBSD Go sends this one through libc.
func (h *bpfHandle) ioctl(name string, request uint, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(h.fd), uintptr(request), uintptr(argument)); errno != 0 {
		return os.NewSyscallError(name, errno)
	}
	return nil
}
