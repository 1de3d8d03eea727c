package pflog

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"time"

	"pfwarden/capture"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng section 4).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
)

const (
	maxInterfaces = 4096              // of a section
	maxBlock      = MaxCapture + 1024 // of a block that is looked into: a longest record with some options
)

// pcapng is the state of reading a pcapng file: the section that it is in.
type pcapng struct {
	section    FileHeader // of which only the byte order counts
	inSection  bool
	interfaces []ngInterface
	pflog      bool // some interface of the file so far is pflog's
}

// ngInterface is an interface of the section.
type ngInterface struct {
	link    uint16
	snaplen uint32
	units   uint64 // of its time stamps per second, 0 if they cannot be read
	shift   int64  // seconds to add to its time stamps
}

func isPcapng(b []byte) bool { return binary.BigEndian.Uint32(b) == blockSection }

// nextBlock reads blocks up to and including the next packet of a pflog interface.
func (r *Reader) nextBlock(p *capture.Packet) (Cause, error) {
	for {
		b, err := r.in.peek(12)
		if err != nil {
			if !r.ng.pflog && len(b) == 0 {
				return 0, fmt.Errorf("%w: no interface of this pcapng file has link type %d (pflog)", ErrFormat, LinkPflog)
			}
			return 0, err
		}
		kind := r.ng.section.uint32(b)
		if isPcapng(b) {
			kind = blockSection
			if err := r.ng.startSection(b[8:12]); err != nil {
				return 0, err
			}
		}
		size := int64(r.ng.section.uint32(b[4:]))
		if size < 12 || size%4 != 0 || !r.ng.inSection {
			return 0, fmt.Errorf("%w from here on: a pcapng block of %d bytes", ErrFormat, size)
		}
		packet := kind == blockPacket || kind == blockSimple || kind == blockEnhanced
		if packet {
			r.frame++
		}
		if size > maxBlock || !packet && kind != blockInterface {
			if err := r.in.discard(size); err != nil {
				if packet {
					r.frame--
				}
				return 0, asCut(err)
			}
			if packet {
				return BadBlock, nil
			}
			continue
		}
		if b, err = r.in.peek(int(size)); err != nil {
			if packet {
				r.frame--
			}
			return 0, err
		}
		if trailer := int64(r.ng.section.uint32(b[size-4:])); trailer != size {
			return 0, fmt.Errorf("%w from here on: a pcapng block of %d bytes that ends as one of %d", ErrFormat, size, trailer)
		}
		body := b[8 : size-4]
		if kind == blockInterface {
			err := r.ng.addInterface(body)
			r.in.skip(int(size))
			if err != nil {
				return 0, err
			}
			continue
		}
		cause, ours := r.ngPacket(p, kind, body)
		r.in.skip(int(size))
		if !ours {
			r.others++
			continue
		}
		return cause, nil
	}
}

// asCut makes of the end of the file within a block what peek would have made of it.
func asCut(err error) error {
	if err == io.EOF { //nolint:errorlint // a wrapped EOF is an error of the stream
		return errCut
	}
	return err
}

func (ng *pcapng) startSection(magic []byte) error {
	switch binary.BigEndian.Uint32(magic) {
	case 0x1a2b3c4d:
		ng.section.BigEndian = true
	case 0x4d3c2b1a:
		ng.section.BigEndian = false
	default:
		return fmt.Errorf("%w: a pcapng section without byte-order mark", ErrFormat)
	}
	ng.inSection = true
	ng.interfaces = ng.interfaces[:0]
	return nil
}

func (ng *pcapng) addInterface(body []byte) error {
	if len(body) < 8 || len(ng.interfaces) == maxInterfaces {
		return fmt.Errorf("%w from here on: pcapng interface %d", ErrFormat, len(ng.interfaces))
	}
	i := ngInterface{link: ng.section.uint16(body), snaplen: ng.section.uint32(body[4:]), units: 1e6}
	if i.link == LinkPflog || i.link == LinkOldPflog {
		ng.pflog = true
	}
	for options := body[8:]; len(options) >= 4; {
		code, size := ng.section.uint16(options), int(ng.section.uint16(options[2:]))
		options = options[4:]
		if code == 0 || size > len(options) {
			break
		}
		switch {
		case code == 9 && size == 1: // if_tsresol
			i.units = resolution(options[0])
		case code == 14 && size == 8: // if_tsoffset
			if ng.section.BigEndian {
				i.shift = int64(binary.BigEndian.Uint64(options))
			} else {
				i.shift = int64(binary.LittleEndian.Uint64(options))
			}
		}
		options = options[min((size+3)&^3, len(options)):]
	}
	ng.interfaces = append(ng.interfaces, i)
	return nil
}

// resolution returns the units per second that an if_tsresol stands for, 0 if they do not fit.
func resolution(b byte) uint64 {
	exponent := int(b & 0x7f)
	if b&0x80 != 0 {
		if exponent > 63 {
			return 0
		}
		return 1 << exponent
	}
	if exponent > 19 {
		return 0
	}
	units := uint64(1)
	for range exponent {
		units *= 10
	}
	return units
}

// ngPacket decodes a packet block; ours is false if it belongs to an interface that is not pflog's.
func (r *Reader) ngPacket(p *capture.Packet, kind uint32, body []byte) (cause Cause, ours bool) {
	s := r.ng.section
	var id, captured, wire uint32
	var stamp uint64
	var data []byte
	switch kind {
	case blockEnhanced, blockPacket:
		if len(body) < 20 {
			return BadBlock, true
		}
		id = s.uint32(body)
		if kind == blockPacket {
			id = uint32(s.uint16(body))
		}
		stamp = uint64(s.uint32(body[4:]))<<32 | uint64(s.uint32(body[8:]))
		captured, wire = s.uint32(body[12:]), s.uint32(body[16:])
		data = body[20:]
	default: // a simple packet block has no time and is cut by the snaplen of the first interface
		if len(body) < 4 {
			return BadBlock, true
		}
		wire = s.uint32(body)
		captured = min(wire, uint32(len(body)-4))
		data = body[4:]
		if len(r.ng.interfaces) > 0 && r.ng.interfaces[0].snaplen > 0 {
			captured = min(captured, r.ng.interfaces[0].snaplen)
		}
	}
	if int64(id) >= int64(len(r.ng.interfaces)) {
		return BadBlock, true
	}
	i := r.ng.interfaces[id]
	if i.link != LinkPflog && i.link != LinkOldPflog {
		return 0, false
	}
	if int64(captured) > int64(len(data)) || i.units == 0 {
		return BadBlock, true
	}
	r.setDecoder(FileHeader{BigEndian: s.BigEndian, LinkType: uint32(i.link)})
	cause = r.decoder.Decode(p, data[:captured], wire)
	p.Time, p.Nanos = i.time(stamp), i.units > 1e6
	return cause, true
}

// time turns a time stamp of the interface into UTC.
func (i ngInterface) time(stamp uint64) time.Time {
	high, low := bits.Mul64(stamp%i.units, 1e9)
	nanoseconds, _ := bits.Div64(high, low, i.units)
	return time.Unix(int64(stamp/i.units)+i.shift, int64(nanoseconds)).UTC()
}
