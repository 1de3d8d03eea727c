package pflog_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/pflogwrite"
)

// script is a source of packets at given seconds that may break at the end.
type script struct {
	name  string
	times []int64
	err   error
}

func (s *script) Next(p *capture.Packet) error {
	if len(s.times) == 0 {
		return s.err
	}
	*p = capture.Packet{Time: time.Unix(s.times[0], 0), Origin: s.name}
	s.times = s.times[1:]
	return nil
}

func TestMerge(t *testing.T) {
	t.Parallel()
	m := pflog.Merge(&script{"a", []int64{1, 4, 4, 9}, io.EOF}, &script{"b", nil, io.EOF}, &script{"c", []int64{1, 2, 4, 3, 20}, io.EOF}, &script{"d", []int64{2, 5}, errors.New("d broke")}, &script{"e", nil, errors.New("e broke")})
	var got []string
	for {
		var p capture.Packet
		err := m.Next(&p)
		if err == io.EOF {
			break
		}
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, p.Origin+p.Time.UTC().Format("05"))
	}
	want := "e broke a01 c01 c02 d02 a04 a04 c04 c03 d05 d broke a09 c20"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w, _ := pflogwrite.NewWriter(&file, pflogwrite.Format{})
	packet := func(id uint16) []byte {
		return pflogwrite.UDPPacket(pflogwrite.IP{Source: address("192.0.2.1"), Destination: address("192.0.2.2"), ID: id}, 1, 2, nil)
	}
	for i, r := range []struct {
		rule uint32
		id   uint16
		late time.Duration
	}{{1, 1, 0}, {2, 1, 10}, {3, 1, 20}, {1, 2, 30}, {2, 1, 5000}} {
		if err := w.Write(time.Unix(1, int64(r.late)*1000), &pflogwrite.Record{Dialect: 100, Rule: r.rule, Packet: packet(r.id)}); err != nil {
			t.Fatal(i, err)
		}
	}
	w.Flush()
	r, err := pflog.NewReader(&file, "test", pflog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := pflog.Distinct(r)
	var got []uint64
	var p capture.Packet
	for s.Next(&p) == nil {
		got = append(got, p.Frame)
	}
	if !slices.Equal(got, []uint64{1, 4, 5}) {
		t.Errorf("frames %v", got)
	}
}
