package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"time"
)

// errDamaged is the cause of every fault that a decoder finds.
var errDamaged = errors.New("damaged data")

// encoder appends to b. The layouts of journals and snapshots are made of these few shapes: varints, length-prefixed strings, times as seconds
// and nanoseconds.
type encoder struct{ b []byte }

func (e *encoder) u(v uint64)    { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) i(v int64)     { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) n(v int)       { e.u(uint64(v)) }
func (e *encoder) f(v float64)   { e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(v)) }
func (e *encoder) word(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) s(v string) {
	e.n(len(v))
	e.b = append(e.b, v...)
}

func (e *encoder) time(t time.Time) {
	if e.bool(t.IsZero()); !t.IsZero() {
		e.i(t.Unix())
		e.u(uint64(t.Nanosecond()))
	}
}

func (e *encoder) addr(a netip.Addr) {
	b := a.AsSlice()
	e.n(len(b))
	e.b = append(e.b, b...)
}

func (e *encoder) prefix(p netip.Prefix) {
	e.addr(p.Addr())
	if p.Addr().IsValid() {
		e.i(int64(p.Bits()))
	}
}

func (e *encoder) target(t *Target) {
	e.addr(t.Address)
	e.u(uint64(t.Port))
	e.u(uint64(t.Protocol))
}

func (e *encoder) fields(f Fields) {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	e.n(len(names))
	for _, name := range names {
		e.s(name)
		e.s(f[name])
	}
}

// source is where a decoder reads: a bufio.Reader or bytes.Reader.
type byteSource interface {
	io.Reader
	io.ByteReader
}

// decoder reads what an encoder wrote. The first fault sticks; what is read after it is zero. Lengths are believed only up to left, so that
// damaged input cannot make it allocate more than it brings.
type decoder struct {
	r    byteSource
	left int
	err  error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errDamaged, what)
	}
}

// ReadByte implements io.ByteReader for the varints.
func (d *decoder) ReadByte() (byte, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.left <= 0 {
		d.fail("it goes on after its end")
		return 0, d.err
	}
	b, err := d.r.ReadByte()
	if err != nil {
		d.err = fmt.Errorf("%w: it ends early: %w", errDamaged, err)
		return 0, d.err
	}
	d.left--
	return b, nil
}

func (d *decoder) u() uint64 {
	v, err := binary.ReadUvarint(d)
	if err != nil {
		d.fail("a number is too long")
		return 0
	}
	return v
}

func (d *decoder) i() int64 {
	v, err := binary.ReadVarint(d)
	if err != nil {
		d.fail("a number is too long")
		return 0
	}
	return v
}

// n reads a number that is at most most.
func (d *decoder) n(most int) int {
	v := d.u()
	if v > uint64(most) {
		d.fail(fmt.Sprintf("%d where at most %d was expected", v, most))
		return 0
	}
	return int(v)
}

func (d *decoder) u32() uint32 {
	v := d.u()
	if v > math.MaxUint32 {
		d.fail(fmt.Sprintf("%d does not fit 32 bits", v))
		return 0
	}
	return uint32(v)
}

func (d *decoder) bytes(b []byte) {
	if d.err != nil {
		clear(b)
		return
	}
	if len(b) > d.left {
		d.fail("it goes on after its end")
		clear(b)
		return
	}
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.err = fmt.Errorf("%w: it ends early: %w", errDamaged, err)
		clear(b)
		return
	}
	d.left -= len(b)
}

func (d *decoder) word() uint64 {
	var b [8]byte
	d.bytes(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

func (d *decoder) f() float64 {
	v := math.Float64frombits(d.word())
	if math.IsNaN(v) || math.IsInf(v, 0) {
		d.fail("a number is none")
		return 0
	}
	return v
}

func (d *decoder) bool() bool {
	b, _ := d.ReadByte()
	if b > 1 {
		d.fail("neither true nor false")
	}
	return b == 1
}

func (d *decoder) s() string {
	n := d.n(d.left)
	if n == 0 {
		return ""
	}
	b := make([]byte, n)
	d.bytes(b)
	return string(b)
}

func (d *decoder) time() time.Time {
	if d.bool() || d.err != nil {
		return time.Time{}
	}
	s := d.i()
	return time.Unix(s, int64(d.n(999_999_999))).UTC()
}

func (d *decoder) addr() netip.Addr {
	n := d.n(16)
	if n != 0 && n != 4 && n != 16 {
		d.fail("an address of a strange length")
	}
	if d.err != nil || n == 0 {
		return netip.Addr{}
	}
	var b [16]byte
	d.bytes(b[:n])
	a, _ := netip.AddrFromSlice(b[:n])
	return a
}

func (d *decoder) prefix() netip.Prefix {
	a := d.addr()
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, int(d.i()))
}

func (d *decoder) target() Target {
	return Target{Address: d.addr(), Port: uint16(d.n(math.MaxUint16)), Protocol: uint8(d.n(math.MaxUint8))}
}

func (d *decoder) fields() Fields {
	n := d.n(d.left)
	if n == 0 || d.err != nil {
		return nil
	}
	f := Fields{}
	for range n {
		name := d.s()
		f[name] = d.s()
		if d.err != nil {
			return nil
		}
	}
	return f
}
