package stranger

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

// style is how this gateway writes its logs; each seed draws one.
type style struct {
	dialect capture.Dialect
	system  pflogwrite.System
	snaplen uint32
	iso     bool // syslog with ISO time stamps instead of the traditional ones
	linux   bool // sshd with PAM beside it
}

func drawStyle(r *rand.Rand) style {
	s := style{dialect: 100, system: pflogwrite.OpenBSD, snaplen: 160, iso: r.IntN(3) == 0, linux: r.IntN(2) == 0}
	if r.IntN(3) == 0 {
		s.dialect, s.system, s.snaplen = 69, pflogwrite.FreeBSD, 256
	}
	return s
}

// WritePflog writes the packets as pflogd(8) would.
func (t *Trace) WritePflog(w io.Writer) error {
	f, err := pflogwrite.NewWriter(w, pflogwrite.Format{Snaplen: t.style.snaplen})
	if err != nil {
		return err
	}
	for i := range t.packets {
		p := &t.packets[i]
		record := pflogwrite.Record{
			Dialect: t.style.dialect, System: t.style.system, Action: p.action, Reason: p.reason, Direction: p.dir, Interface: p.iface,
			Rule: 3, Subrule: capture.NoRule, UID: pflogwrite.NoUID, PID: pflogwrite.NoPID, RulePID: 4711, Packet: p.ip,
		}
		if err := f.Write(t.start.Add(p.at), &record); err != nil {
			return err
		}
	}
	return f.Flush()
}

// Logs are the names of the servers' logs, in order.
func (t *Trace) Logs() []string { return slices.Sorted(maps.Keys(t.lines)) }

// WriteLog writes one of them. Times are UTC.
func (t *Trace) WriteLog(name string, w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, l := range t.lines[name] {
		at := t.start.Add(l.at)
		switch name {
		case accessLog: // the address comes first
			fmt.Fprintf(b, l.text+"\n", at.Format("02/Jan/2006:15:04:05 -0700"))
		case errorLog:
			fmt.Fprintf(b, "[%s] %s\n", at.Format("Mon Jan 02 15:04:05.000000 2006"), l.text)
		case nginxLog:
			fmt.Fprintf(b, "%s %s\n", at.Format("2006/01/02 15:04:05"), l.text)
		default:
			if t.style.iso {
				fmt.Fprintf(b, "%s gw %s\n", at.Format("2006-01-02T15:04:05.000000-07:00"), l.text)
			} else {
				fmt.Fprintf(b, "%s gw %s\n", at.Format(time.Stamp), l.text)
			}
		}
	}
	return b.Flush()
}

// WriteLabels writes labels.csv as replay --labels reads it.
func (t *Trace) WriteLabels(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "address,class,want,first,last")
	for _, l := range t.Labels {
		want := 0
		if l.Want {
			want = 1
		}
		fmt.Fprintf(b, "%s,%s,%d,%s,%s\n", l.Address, l.Class, want, l.First.UTC().Format(time.RFC3339Nano), l.Last.UTC().Format(time.RFC3339Nano))
	}
	return b.Flush()
}
