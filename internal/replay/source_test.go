package replay

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/config"
	"pfwarden/internal/simulate"
	"pfwarden/internal/warden"
)

// traffic is half an hour in front of a gateway: a pflog file that no compression puts into one small block, and two logs whose lines often have
// the same time.
func traffic(t *testing.T) map[string][]byte {
	t.Helper()
	var packets, auth, errs bytes.Buffer
	_, _, err := simulate.Run(t.Context(), simulate.Options{Seed: 5, Hosts: 8, Days: 0.02}, simulate.Output{
		Pflog: &packets, Format: simulate.Format{Dialect: capture.Dialect(100), System: pflogwrite.OpenBSD, File: pflogwrite.Format{Snaplen: 160}},
		AuthLog: &auth, ErrorLog: &errs,
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"pflog": packets.Bytes(), "authlog": auth.Bytes(), "error_log": errs.Bytes()}
}

func squeeze(t *testing.T, format string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	case "xz":
		w, err = xz.NewWriter(&out)
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// played replays files in an order and returns all bans and unbans.
func played(t *testing.T, files map[string][]byte, order ...string) (string, *Totals) {
	t.Helper()
	var b strings.Builder
	o := Options{Config: config.Default("openbsd"), Location: time.UTC, Seed: 1, OnEvent: func(e warden.Event) {
		fmt.Fprintln(&b, e.Time, e.Kind, e.Ban.Prefix, e.Ban.Table, e.Ban.Reasons)
	}}
	for _, name := range order {
		o.Inputs = append(o.Inputs, Input{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files[name])), nil }})
	}
	totals, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), totals
}

// Neither the order in which files are named nor how they are compressed changes what a replay says; where the first bytes that tell packets
// from text lie after a long block, they are found there.
func TestInputs(t *testing.T) {
	files := traffic(t)
	want, totals := played(t, files, "pflog", "authlog", "error_log")
	if totals.Packets < 2000 || totals.Lines < 100 || strings.Count(want, "\n") < 10 {
		t.Fatalf("%d packets, %d lines, bans:\n%s", totals.Packets, totals.Lines, want)
	}
	for _, order := range [][]string{{"pflog", "error_log", "authlog"}, {"authlog", "pflog", "error_log"}, {"error_log", "authlog", "pflog"}} {
		if got, _ := played(t, files, order...); got != want {
			t.Errorf("%v:\n%s\nexpected:\n%s", order, got, want)
		}
	}
	for _, format := range []string{"gzip", "zstd", "xz"} {
		packed := map[string][]byte{}
		for name, b := range files {
			packed[name] = squeeze(t, format, b)
		}
		if n := len(packed["pflog"]); n < 32<<10 {
			t.Errorf("%s: the packets are in %d bytes", format, n)
		}
		if got, totals := played(t, packed, "authlog", "error_log", "pflog"); got != want || len(totals.Faults) > 0 {
			t.Errorf("%s: %v, %d packets, %d lines:\n%s", format, totals.Faults, totals.Packets, totals.Lines, got)
		}
	}
}

// Files that hold neither pflog nor text, or too little of anything.
func TestInputsRefused(t *testing.T) {
	foreign := append([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00"), make([]byte, 16)...)
	foreign[20] = 1 // Ethernet
	skipped := bytes.Repeat(append([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0x10, 0}, make([]byte, 1<<20)...), 17)
	for _, tt := range []struct {
		name string
		file []byte
		want string // of the error; "" is none
	}{
		{"nothing", nil, ""},
		{"one byte", []byte("x"), ""},
		{"a short line", []byte("hello\n"), ""},
		{"Ethernet", foreign, "link type 1, want 117"},
		{"Ethernet, packed", squeeze(t, "xz", foreign), "link type 1, want 117"},
		{"half a header", foreign[:12], "12 bytes are no pcap header"},
		{"compress(1)", []byte("\x1f\x9d\x90abc"), "zcat"},
		{"nothing but what is to be skipped", append([]byte("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"), skipped...), "nothing is unpacked from its first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Run(t.Context(), Options{Config: config.Default("openbsd"), Location: time.UTC, Inputs: []Input{{
				Name: "it", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tt.file)), nil },
			}}})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, expected %q", err, tt.want)
			}
		})
	}
}
