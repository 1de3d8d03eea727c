package detect

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	const a = "192.0.2.7"
	b := newBench(t, Config{
		Jails: []JailConfig{jail("sshd", 5, 10*time.Minute), {Name: "old", Strategy: Fail2ban, Threshold: 10, Findtime: time.Hour}},
		Never: neverSet{addr("192.0.2.99"): true},
	})
	for i := range 2 {
		o := fail("sshd", a, float64(i)*60)
		o.User, o.Text = []string{"root", "admin"}[i], "Failed password for root"
		b.feed(o)
	}
	b.feed(fail("old", a, 70))
	for _, o := range scanOf(a, 100, 3) {
		b.feed(o)
	}
	b.Notice(Notice{Time: at(110), Kind: Contact, Source: netip.MustParsePrefix(a + "/32")})
	e := b.Explain(addr(a), at(120))
	if e.Score < 0.82 || e.Score > 0.83 {
		t.Errorf("score %v, expected 2/5 + 3/7", e.Score)
	}
	var shares []string
	for _, s := range e.Shares {
		shares = append(shares, fmt.Sprintf("%s %.2f %v", s.Jail, s.Fraction, s.Proven))
	}
	if got, want := strings.Join(shares, ", "), "portscan 0.43 false, sshd 0.40 true, old 0.10 true"; got != want {
		t.Errorf("shares: %s\nexpected: %s", got, want)
	}
	if len(e.Evidence) != 6 || !e.Evidence[0].Time.Before(e.Evidence[5].Time) {
		t.Errorf("evidence: %v", e.Evidence)
	}
	text := e.String()
	for _, want := range []string{
		"192.0.2.7 at 2026-03-01T12:02:00Z: score 0.83 of 1",
		`sshd: 2 failures of 5 within 10 minutes, in 60 seconds, as "root", "admin"; score 0.40`,
		"portscan: 3 new doors in 2 seconds: 203.0.113.5 ports 100, 101, 102; score 0.43 (3.0 of 7 doors)",
		"stop contact  our side spoke to it in the last 24 hours",
		"open never    not on the never-list",
		"2026-03-01T12:01:40Z portscan probe to tcp 203.0.113.5:100",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	if len(b.verdicts) != 0 {
		t.Error("explaining judged somebody")
	}
	if e := b.Explain(addr("192.0.2.99"), at(120)); !e.Gates[0].Stopped || e.Score != 0 || !strings.Contains(e.String(), "nothing counts against it") {
		t.Errorf("never-listed: %v", e)
	}
}

// TestReasons: the sentence accounts for its score.
func TestReasons(t *testing.T) {
	kind := func(k Kind, n int) (list []Observation) {
		for i, o := range scanOf("192.0.2.7", 0, n) {
			if o.Kind = k; k == Sweep {
				o.Target = Target{Address: addr(fmt.Sprintf("203.0.113.%d", i)), Protocol: 1}
			}
			list = append(list, o)
		}
		return list
	}
	for _, tt := range []struct {
		name string
		list []Observation
		want string
	}{
		{"SYNs", kind(Probe, 7), "portscan: 7 new doors in 6 seconds: 203.0.113.5 ports 100, 101, 102, 103, 104, 105 …; score 1.00 (7.0 of 7 doors)"},
		{"stealth", kind(Stealth, 14), "portscan: 14 new doors in 13 seconds: 203.0.113.5 ports 104, 105, 106, 107, 108, 109 …; score 1.00 (7.0 of 7 doors, stealth packets count half)"},
		{"cut off", kind(UnknownFlags, 14), "portscan: 14 new doors in 13 seconds: 203.0.113.5 ports 104, 105, 106, 107, 108, 109 …; score 1.00 (7.0 of 7 doors, packets whose flags were cut off count half)"},
		{"echo as well", append(kind(Sweep, 4), kind(Probe, 6)...), "portscan: 10 new doors in 5 seconds: 203.0.113.0 by echo; 203.0.113.1 by echo; 203.0.113.2 by echo; 203.0.113.3 by echo; 203.0.113.5 ports 100, 101 …; score 1.00 (7.0 of 7 doors, UDP and echo a quarter)"},
		{"in half a day", []Observation{
			probe("192.0.2.7", 0, "203.0.113.5", 1), probe("192.0.2.7", 3600, "203.0.113.5", 2), probe("192.0.2.7", 2*3600, "203.0.113.5", 3),
			probe("192.0.2.7", 2*3600, "203.0.113.5", 4), probe("192.0.2.7", 3*3600, "203.0.113.5", 5), probe("192.0.2.7", 3*3600, "203.0.113.5", 6),
			probe("192.0.2.7", 3*3600, "203.0.113.5", 7),
		}, "portscan: 7 new doors in 3 hours: 203.0.113.5 ports 1, 2, 3, 4, 5, 6 …; score 1.00 (6.8 of 7 doors, enough since doors decay)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Config{})
			for _, o := range tt.list {
				b.feed(o)
			}
			var got []string
			for _, v := range b.verdicts {
				got = append(got, v.Reasons...)
			}
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got %q\nexpected %q", got, tt.want)
			}
		})
	}
}

// TestGuesses: many addresses that each stay below the threshold are reported, and judged where that is set.
func TestGuesses(t *testing.T) {
	for _, act := range []bool{false, true} {
		b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 5, time.Hour)}, Guess: GuessConfig{Act: act}})
		for round := range 3 {
			for i := range 30 {
				o := fail("sshd", fmt.Sprintf("%d.%d.1.1", 20+i, i), float64(round*600+i))
				o.User = "oracle"
				b.feed(o)
			}
		}
		list := b.Guesses(0)
		if len(list) != 1 || list[0].User != "oracle" || list[0].Addresses < 27 || list[0].Addresses > 33 || list[0].Failures != 90 {
			t.Errorf("guesses: %+v", list)
		}
		want := 0
		if act {
			want = 30
		}
		if len(b.verdicts) != want {
			t.Errorf("act %v: %d verdicts, expected %d", act, len(b.verdicts), want)
		}
		for _, v := range b.verdicts {
			if !v.Proven || !strings.Contains(v.Reasons[0], "distributed guessing") {
				t.Errorf("verdict %+v", v)
			}
		}
	}
}

// Up to the least number of addresses that is a case by default they are counted exactly, whatever the secret seed: eleven are none, twelve are,
// also after a restart.
func TestGuessesExact(t *testing.T) {
	for _, tt := range []struct {
		name string
		from func(i int) string
		user func(i int) string
		want string
	}{
		{"one user name", func(i int) string { return fmt.Sprintf("198.51.%d.7", i) }, func(int) string { return "oracle" }, `user "oracle"`},
		{"a /24", func(i int) string { return fmt.Sprintf("198.51.100.%d", i*20) }, func(i int) string { return fmt.Sprint("u", i) }, "from 198.51.100.0/24"},
		{"a /48", member6, func(i int) string { return fmt.Sprint("u", i) }, "from 2001:db8:7::/48"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(100) {
				b := newBench(t, Config{Seed: seed, Jails: []JailConfig{jail("sshd", 5, time.Hour)}})
				guess := func(i int) {
					for n := range 3 {
						o := fail("sshd", tt.from(i), float64(100*i+n))
						o.User = tt.user(i)
						b.feed(o)
					}
				}
				for i := range 11 {
					guess(i)
				}
				if list := b.Guesses(0); len(list) > 0 {
					t.Fatalf("seed %d: eleven addresses: %v", seed, list)
				}
				var state bytes.Buffer
				if err := b.Snapshot(&state); err != nil {
					t.Fatal(err)
				}
				if err := b.Restore(&state, time.Time{}); err != nil {
					t.Fatal(err)
				}
				guess(11)
				list := b.Guesses(0)
				if len(list) != 1 || list[0].String() != tt.want+": 36 failures by 12 addresses within 18 minutes" {
					t.Fatalf("seed %d: %v", seed, list)
				}
			}
		})
	}
}

// TestStats: every input is counted once, under a stable name.
func TestStats(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 2, time.Hour)}, Never: neverSet{addr("192.0.2.1"): true}})
	b.feed(fail("sshd", "192.0.2.1", 0))
	b.feed(fail("sshd", "192.0.2.1", 1))
	b.feed(fail("sshd", "192.0.2.2", 2))
	b.feed(fail("sshd", "192.0.2.2", 3))
	b.feed(fail("nosuch", "192.0.2.2", 3))
	b.Notice(Notice{Time: at(4), Kind: Banned, Source: netip.MustParsePrefix("192.0.2.2/32"), Jail: "sshd"})
	b.feed(fail("sshd", "192.0.2.2", 1))
	b.feed(probe("192.0.2.3", 5, "203.0.113.5", 1))
	s := b.Stats()
	if len(s.Jails) != 2 || s.Jails[0].Jail != "sshd" || s.Jails[1].Jail != "portscan" {
		t.Fatalf("jails: %+v", s.Jails)
	}
	for _, c := range []struct {
		name string
		got  uint64
		want uint64
	}{
		{"failures", s.Jails[0].Observations[Failure], 5},
		{"probes", s.Jails[1].Observations[Probe], 1},
		{"proven verdicts", s.Jails[0].Proven, 1},
		{"stopped verdicts", s.Jails[0].Stopped, 1},
		{"never gate", s.Gates[GateNever], 1},
		{"unknown", s.Drops["unknown"], 1},
		{"before ban", s.Drops["before_ban"], 1},
		{"banned notices", s.Notices["banned"], 1},
		{"slots", uint64(s.SlotsUsed), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, expected %d", c.name, c.got, c.want)
		}
	}
	for k := range Kind(NumKinds) {
		if k.String() == "" || k.String() == "invalid" {
			t.Errorf("kind %d has no name", k)
		}
	}
}

// TestConfigFaults: all faults are told at once.
func TestConfigFaults(t *testing.T) {
	_, err := New(Config{
		Jails:    []JailConfig{{Name: "a", Findtime: time.Hour}, {Name: "a", Threshold: 1}, {Threshold: 1, Findtime: 1, Prefix4: 33}},
		Portscan: PortscanConfig{Threshold: 100},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"jail a: threshold is 0", "jail a is there twice", "jail a: findtime is 0s", "jail 2 has no name", "prefix lengths 33 and 64", "jail portscan: threshold is 100"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in %v", want, err)
		}
	}
}

// TestExplainIdentifiers: what a fail2ban jail counts under an identifier of its own is told of the address that its lines name.
func TestExplainIdentifiers(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{{Name: "f2b", Strategy: Fail2ban, Threshold: 4, Findtime: time.Hour}}})
	o := fail("f2b", "192.0.2.7", 0)
	o.ID, o.Fields = "session-5", Fields{"ip4": "192.0.2.7"}
	b.feed(o)
	e := b.Explain(addr("192.0.2.7"), at(1))
	if len(e.Shares) != 1 || e.Shares[0].Fraction != 0.25 || len(e.Evidence) != 1 || !strings.Contains(e.String(), `counted as "session-5"`) {
		t.Errorf("explained as %v", e)
	}
	if e := b.Explain(addr("192.0.2.8"), at(1)); len(e.Shares) != 0 {
		t.Errorf("somebody else is explained as %v", e)
	}
}
