package detect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// workload is a random mixture of every input that a detector has.
type workload struct {
	r   *rand.Rand
	now float64
}

func (w *workload) source() netip.Addr {
	switch w.r.IntN(6) {
	case 0:
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::%x", w.r.IntN(8), w.r.IntN(4)))
	case 1:
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(w.r.IntN(40))})
	default:
		return netip.AddrFrom4([4]byte{198, 51, byte(w.r.IntN(4)), byte(w.r.IntN(64))})
	}
}

func (w *workload) input() Input {
	w.now += w.r.ExpFloat64() * 4
	t := at(w.now - float64(w.r.IntN(2)*w.r.IntN(90)))
	a := w.source()
	switch n := w.r.IntN(100); {
	case n < 60:
		o := Observation{
			Time: t, Read: at(w.now), Source: a, Jail: "portscan", Kind: Kind(1 + w.r.IntN(NumKinds-1)), TTL: uint8(50 + w.r.IntN(4)*w.r.IntN(4)),
			Target: Target{Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(w.r.IntN(4))}), Port: uint16(w.r.IntN(30)), Protocol: 6},
			Mark:   Mark(max(0, w.r.IntN(20)-17)),
		}
		if w.r.IntN(2) == 0 {
			o.Kind = Probe
		}
		return Input{Observations: []Observation{o}}
	case n < 90:
		var list []Observation
		for range 1 + w.r.IntN(3) {
			o := Observation{
				Time: t, Read: at(w.now), Source: a, Jail: []string{"sshd", "web", "f2b", "named"}[w.r.IntN(4)], Proven: w.r.IntN(3) > 0,
				Text: "a line", User: []string{"", "root", "admin", "alice", "bob", "carol"}[w.r.IntN(6)], Count: w.r.IntN(3),
			}
			if w.r.IntN(8) == 0 {
				o.Fields = Fields{"user": "x", "host": "y"}
			}
			if o.Jail == "f2b" && w.r.IntN(4) == 0 {
				o.ID = "session"
			}
			list = append(list, o)
		}
		return Input{Observations: list}
	case n < 98:
		bits := a.BitLen()
		if a.Is6() {
			bits = 64
		}
		p, _ := a.Prefix(bits)
		return Input{Notice: &Notice{
			Time: t, Kind: NoticeKind(w.r.IntN(numNotices)), Source: p, Jail: []string{"", "sshd", "f2b", "portscan"}[w.r.IntN(4)],
			Target: Target{Address: a, Port: 22, Protocol: 6}, Ours: w.r.IntN(2) == 0, Established: w.r.IntN(2) == 0, Until: at(w.now + 600), Count: 1 + w.r.IntN(3),
			User: []string{"", "alice"}[w.r.IntN(2)],
		}}
	default:
		return Input{Tick: at(w.now)}
	}
}

type input interface {
	Observe([]Observation, func(Verdict))
	Notice(Notice)
	Tick(time.Time)
}

func (in Input) feed(d input, emit func(Verdict)) {
	switch {
	case in.Notice != nil:
		d.Notice(*in.Notice)
	case in.Observations != nil:
		d.Observe(in.Observations, emit)
	default:
		d.Tick(in.Tick)
	}
}

func workConfig() Config {
	return Config{
		Seed: 42,
		Jails: []JailConfig{
			jail("sshd", 5, 10*time.Minute), jail("web", 3, time.Hour), {Name: "f2b", Strategy: Fail2ban, Threshold: 4, Findtime: 5 * time.Minute, Increment: true},
			{Name: "named", Threshold: 20, Findtime: time.Hour},
		},
		Portscan: PortscanConfig{Slots: 256, Doorkeeper: 1 << 12, Addresses: 2, HalfLife: time.Hour},
		Prefix:   PrefixConfig{Enabled: true, Members: 5},
		Guess:    GuessConfig{Names: 4},
		Never:    neverSet{addr("192.0.2.3"): true, addr("198.51.1.1"): true},
		Limits:   Limits{Sources: 200, EvidenceBytes: 20000, CountBytes: 200000, Contacts: 64, Bans: 50, Trails: 64, Companies: 16},
	}
}

func logTo(b *bytes.Buffer) func(Verdict) {
	return func(v Verdict) {
		line, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(append(line, '\n'))
	}
}
