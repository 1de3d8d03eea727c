package pflog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/pflogwrite"
)

func vector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors/" + name + ".pcap")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCompressions recognises each by its content.
func TestCompressions(t *testing.T) {
	t.Parallel()
	plain := vector(t, "mixed_61_69_100")
	through := func(command ...string) func(io.Writer) io.WriteCloser {
		return func(w io.Writer) io.WriteCloser { return &piped{w: w, command: command} }
	}
	tests := map[string]func(io.Writer) io.WriteCloser{
		"gzip":             func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd":             func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
		"xz":               func(w io.Writer) io.WriteCloser { z, _ := xz.NewWriter(w); return z },
		"bzip2":            through("bzip2", "-c"),
		"xz -9, threads":   through("xz", "-9", "-T2", "--block-size=200", "-c"),
		"zstd --long=27":   through("zstd", "--long=27", "-c", "-q"),
		"xz, two streams":  func(w io.Writer) io.WriteCloser { return &twiceXZ{w: w} },
		"gzip, two stream": func(w io.Writer) io.WriteCloser { return &twice{w: w} },
	}
	for name, compress := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var file bytes.Buffer
			w := compress(&file)
			if _, err := w.Write(plain); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); errors.Is(err, exec.ErrNotFound) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			packets, err := read(t, file.Bytes(), pflog.Options{})
			if err != io.EOF || len(packets) != 3 || packets[2].Rule != 3 {
				t.Errorf("%d packets, %v", len(packets), err)
			}
			cut := file.Bytes()[:file.Len()*2/3]
			if packets, err := read(t, cut, pflog.Options{}); err == io.EOF || err == nil {
				t.Errorf("cut in the middle: %d packets and no error", len(packets))
			} else if !strings.Contains(err.Error(), "test: ") {
				t.Errorf("error does not name the file: %v", err)
			}
		})
	}
}

// piped compresses by a command of the system.
type piped struct {
	w       io.Writer
	command []string
	in      bytes.Buffer
}

func (p *piped) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p *piped) Close() error {
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Stdin, cmd.Stdout = &p.in, p.w
	return cmd.Run()
}

// twice writes two gzip streams, as concatenated files are.
type twice struct {
	w io.Writer
}

func (w *twice) Write(b []byte) (int, error) {
	for _, half := range [][]byte{b[:len(b)/2], b[len(b)/2:]} {
		z := gzip.NewWriter(w.w)
		if _, err := z.Write(half); err != nil {
			return 0, err
		}
		if err := z.Close(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
func (w *twice) Close() error { return nil }

// twiceXZ writes two xz streams with padding between them.
type twiceXZ struct{ w io.Writer }

func (w *twiceXZ) Write(b []byte) (int, error) {
	for i, half := range [][]byte{b[:len(b)/2], b[len(b)/2:]} {
		if i == 1 {
			if _, err := w.w.Write(make([]byte, 8)); err != nil {
				return 0, err
			}
		}
		z, err := xz.NewWriter(w.w)
		if err != nil {
			return 0, err
		}
		if _, err := z.Write(half); err != nil {
			return 0, err
		}
		if err := z.Close(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
func (w *twiceXZ) Close() error { return nil }

// TestHugeDictionary refuses a file that asks for gigabytes.
func TestHugeDictionary(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w, err := xz.NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(vector(t, "len100_nano"))
	w.Close()
	// The block header is at 12: size, flags, filter 0x21, 1 byte of properties.
	bad := slices.Clone(file.Bytes())
	bad[bytes.Index(bad[12:], []byte{0x21, 1})+14] = 40
	for name, b := range map[string][]byte{"first block": bad, "block of the second stream": append(file.Bytes(), bad...)} {
		if _, err := read(t, b, pflog.Options{}); err == nil || !strings.Contains(err.Error(), "is refused") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	good := vector(t, "mixed_61_69_100")
	patched := func(offset int, b ...byte) []byte {
		c := slices.Clone(good)
		copy(c[offset:], b)
		return c
	}
	second := 24 + 16 + 104 // where the second record header starts
	tests := []struct {
		name    string
		file    []byte
		packets int
		rejects []string
		fault   string
	}{
		{"whole", good, 3, nil, "EOF"},
		{"empty", nil, 0, nil, "EOF"},
		{"header only", good[:24], 0, nil, "EOF"},
		{"half a header", good[:20], 0, nil, "test: not a readable pflog capture: 20 bytes are no pcap header"},
		{"text", []byte("Nov 22 15:20:08 vm sshd[30482]: Failed"), 0, nil, "neither pcap nor pcapng"},
		{"ethernet", patched(20, 1), 0, nil, "link type 1, want 117"},
		{"373 is not 117", patched(20, 0x75, 1), 0, nil, "link type 373"},
		{"frame check bits are not the link type", patched(23, 0xf4), 3, nil, "EOF"},
		{"ends within a record", good[:second+40], 1, []string{"test: frame 2: the file ends within this record"}, "EOF"},
		{"ends within a record header", good[:second+7], 1, []string{"test: frame 2: the file ends within this record"}, "EOF"},
		{"absurd length", patched(second+8, 0xff, 0xff, 0xff, 0x7f), 1, nil, "test: frame 2: not a readable pflog capture from here on: a record of 2147483647 bytes"},
		{"bad length byte", patched(second+16, 3), 2, []string{"test: frame 2: not a pflog header: its length byte is that of no dialect"}, "EOF"},
		{"bad family", patched(second+17, 99), 2, []string{"test: frame 2: unknown address family"}, "EOF"},
		{"family of the other version", patched(second+17, 24), 2, []string{"test: frame 2: IP version contradicts the address family"}, "EOF"},
		{"compress(1)", []byte{0x1f, 0x9d, 0x90, 1, 2, 3}, 0, nil, "pipe it through zcat"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var rejects []string
			packets, err := read(t, test.file, pflog.Options{OnReject: func(r pflog.Rejected) { rejects = append(rejects, r.Error()) }})
			if len(packets) != test.packets || !slices.Equal(rejects, test.rejects) || err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%d packets, rejects %q, error %v", len(packets), rejects, err)
			}
			if err != io.EOF && !errors.Is(err, pflog.ErrFormat) {
				t.Errorf("%v is not ErrFormat", err)
			}
		})
	}
}

// TestSlowReader gets the bytes one by one.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	r, err := pflog.NewReader(iotest.OneByteReader(bytes.NewReader(vector(t, "mixed_61_69_100"))), "slow", pflog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p capture.Packet
	n := 0
	for r.Next(&p) == nil {
		n++
	}
	if n != 3 {
		t.Errorf("%d packets", n)
	}
}

func TestReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	r, err := pflog.NewReader(io.MultiReader(bytes.NewReader(vector(t, "len100_nano")), iotest.ErrReader(broken)), "disk", pflog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p capture.Packet
	if err := r.Next(&p); err != nil {
		t.Fatal(err)
	}
	if err := r.Next(&p); !errors.Is(err, broken) || err.Error() != "disk: frame 2: broken disk" {
		t.Errorf("error %v", err)
	}
}

func TestOldDirections(t *testing.T) {
	t.Parallel()
	for setting, want := range map[pflog.OldDirections][]capture.Direction{
		pflog.FirstDirections: {capture.In, capture.Out, capture.Out},
		pflog.LaterDirections: {capture.InOut, capture.In, capture.Out},
	} {
		var file bytes.Buffer
		w, _ := pflogwrite.NewWriter(&file, pflogwrite.Format{LinkType: pflogwrite.LinkOldPflog})
		for d := range capture.Direction(3) {
			w.Write(time.Unix(1, 0), &pflogwrite.Record{Direction: d, Packet: pflogwrite.UDPPacket(pflogwrite.IP{Source: address("192.0.2.1"), Destination: address("192.0.2.2")}, 1, 2, nil)})
		}
		w.Flush()
		packets, _ := read(t, file.Bytes(), pflog.Options{OldDirections: setting})
		for i, p := range packets {
			if p.Direction != want[i] {
				t.Errorf("setting %d: direction %d is %d, want %d", setting, i, p.Direction, want[i])
			}
		}
	}
}

// TestIDOrder overrides the order of ids in a file that a tool re-wrote, and of trackers.
func TestIDOrder(t *testing.T) {
	t.Parallel()
	packets, _ := read(t, vector(t, "len100_nano"), pflog.Options{IDOrder: pflog.BigEndian})
	if packets[0].UID != 0xe8030000 {
		t.Errorf("uid %d", packets[0].UID)
	}
	packets, _ = read(t, vector(t, "len49_pfsense"), pflog.Options{IDOrder: pflog.LittleEndian})
	if packets[0].RuleID != 0x67ca9a3b {
		t.Errorf("tracker %d", packets[0].RuleID)
	}
	for _, big := range []bool{false, true} {
		for _, tracker := range []uint32{1_000_000_103, 1_500_000_000, 1_420_070_400} {
			for _, host := range []bool{false, true} {
				format := pflogwrite.Format{BigEndian: big}
				record := pflogwrite.Record{Dialect: 49, RuleID: tracker, TrackerHostOrder: host, Packet: pflogwrite.UDPPacket(pflogwrite.IP{Source: address("192.0.2.1"), Destination: address("192.0.2.2")}, 1, 2, nil)}
				data, _ := record.Append(nil, format.Order())
				var p capture.Packet
				d := pflog.Decoder{BigEndian: big}
				if d.Decode(&p, data, uint32(len(data))); p.RuleID != tracker {
					t.Errorf("big-endian %t, host order %t: tracker %d, want %d", big, host, p.RuleID, tracker)
				}
			}
		}
	}
}

// TestPcapng reads sections of both orders, several interfaces of which one is not pflog's, resolutions, and all packet blocks.
func TestPcapng(t *testing.T) {
	t.Parallel()
	record := vector(t, "len100_nano")[40:]
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		block := func(kind uint32, body []byte) []byte {
			for len(body)%4 != 0 {
				body = append(body, 0)
			}
			b := order.AppendUint32(order.AppendUint32(nil, kind), uint32(len(body)+12))
			return order.AppendUint32(append(b, body...), uint32(len(body)+12))
		}
		iface := func(link uint16, options ...byte) []byte {
			return block(1, append(order.AppendUint32(order.AppendUint16(order.AppendUint16(nil, link), 0), 0), options...))
		}
		option := func(code uint16, value ...byte) []byte {
			b := append(order.AppendUint16(order.AppendUint16(nil, code), uint16(len(value))), value...)
			for len(b)%4 != 0 {
				b = append(b, 0)
			}
			return b
		}
		packet := func(iface uint32, stamp uint64, data []byte) []byte {
			b := order.AppendUint32(order.AppendUint32(order.AppendUint32(nil, iface), uint32(stamp>>32)), uint32(stamp))
			return block(6, append(order.AppendUint32(order.AppendUint32(b, uint32(len(data))), uint32(len(data))), data...))
		}
		var file []byte
		file = append(file, block(0x0a0d0d0a, append(order.AppendUint32(nil, 0x1a2b3c4d), 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255))...)
		file = append(file, iface(117)...)
		file = append(file, iface(1)...)
		file = append(file, iface(117, append(option(9, 9), option(14, order.AppendUint64(nil, 100)...)...)...)...)
		file = append(file, iface(117, option(9, 0x80|10)...)...)
		file = append(file, packet(0, 1700000000_123456, record)...)
		file = append(file, block(5, make([]byte, 3000))...) // statistics
		file = append(file, packet(1, 1, []byte("ethernet frame"))...)
		file = append(file, packet(2, 1700000000_123456789, record)...)
		file = append(file, packet(3, 1700000000<<10|512, record)...)
		file = append(file, block(3, append(order.AppendUint32(nil, uint32(len(record))), record...))...)
		file = append(file, packet(77, 1, record)...) // no such interface
		file = append(file, packet(0, 1700000001_000000, record)...)

		var rejects []string
		packets, err := read(t, file, pflog.Options{OnReject: func(r pflog.Rejected) { rejects = append(rejects, r.Error()) }})
		if err != io.EOF || len(packets) != 5 {
			t.Fatalf("%d packets, %v", len(packets), err)
		}
		want := []string{"2023-11-14T22:13:20.123456Z", "2023-11-14T22:15:00.123456789Z", "2023-11-14T22:13:20.5Z", "1970-01-01T00:00:00Z", "2023-11-14T22:13:21Z"}
		frames := []uint64{1, 3, 4, 5, 7}
		for i, p := range packets {
			if got := p.Time.Format(time.RFC3339Nano); got != want[i] || p.Frame != frames[i] || p.Rule != 7 {
				t.Errorf("packet %d: frame %d, %s, want %d, %s", i, p.Frame, got, frames[i], want[i])
			}
		}
		wantUID := uint32(1000)
		if order == binary.AppendByteOrder(binary.BigEndian) {
			wantUID = 0xe8030000 // ids are in the order of the section, of which the record was not made
		}
		if packets[0].UID != wantUID {
			t.Errorf("uid %d, want %d", packets[0].UID, wantUID)
		}
		if !slices.Equal(rejects, []string{"test: frame 6: packet block with lengths that contradict each other"}) {
			t.Errorf("rejects %q", rejects)
		}
		if packets, err = read(t, file[:len(file)-5], pflog.Options{}); err != io.EOF || len(packets) != 4 {
			t.Errorf("cut: %d packets, %v", len(packets), err)
		}
		foreign := append(block(0x0a0d0d0a, append(order.AppendUint32(nil, 0x1a2b3c4d), 0, 1, 0, 0)), iface(1)...)
		if _, err = read(t, foreign, pflog.Options{}); !errors.Is(err, pflog.ErrFormat) {
			t.Errorf("no interface of pflog: %v", err)
		}
	}
}
