package detect

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestSlowGuessing: one source that fails with many names is judged however slowly it does it, and whoever only mistypes, or has a program with an
// old password, is not.
func TestSlowGuessing(t *testing.T) {
	const a, minute, hour = "192.0.2.7", 60.0, 3600.0
	as := func(s float64, user string) Observation {
		o := fail("sshd", a, s)
		o.User = user
		return o
	}
	every := func(gap float64, users ...string) (list []Observation) {
		for i, u := range users {
			list = append(list, as(gap*float64(i), u))
		}
		return list
	}
	numbered := func(n int) (users []string) {
		for i := range n {
			users = append(users, fmt.Sprint("person", i))
		}
		return users
	}
	of := func(n int, user string) []string { return strings.Split(strings.Repeat(user+" ", n-1)+user, " ") }
	login := func(s float64) Notice {
		return Notice{Time: at(s), Kind: Login, Source: netip.MustParsePrefix(a + "/32"), Jail: "sshd"}
	}
	by := func(user string, s float64) Notice {
		n := login(s)
		n.User = user
		return n
	}
	each := func(gap float64) (list []Notice) {
		for i, user := range numbered(9) {
			list = append(list, by(user, gap*float64(i)+30))
		}
		return list
	}
	tests := []struct {
		name    string
		config  func(*Config)
		failed  []Observation
		notices []Notice // by time, between the failures
		want    string
	}{
		{name: "six names within hours", failed: every(20*minute, numbered(6)...), want: a + " sshd proven"},
		{name: "five are none", failed: every(20*minute, numbered(5)...)},
		{name: "six names within a day", failed: every(4.7*hour, numbered(6)...), want: a + " sshd proven"},
		{name: "six within more than a day are none", failed: every(4.9*hour, numbered(6)...)},
		{name: "one person's old password, all day", failed: every(8*minute, of(170, "alice")...)},
		{name: "two persons' old passwords", failed: every(8*minute, strings.Split(strings.Repeat("alice bob ", 80)+"bob", " ")...)},
		{name: "root all day, as a program with an old key", failed: every(20*minute, of(70, "root")...)},
		{name: "and another name", failed: every(20*minute, append(of(9, "root"), "p")...), want: a + " sshd proven"},
		{name: "root all day, and then another name", failed: every(10*minute, append(of(70, "root"), "p")...), want: a + " sshd proven"},
		{name: "eight times and another are none", failed: every(20*minute, append(of(8, "root"), "p")...)},
		{name: "whatever the case", failed: every(20*minute, append(of(9, "Admin"), "p")...), want: a + " sshd proven"},
		{name: "a mailbox of that name is somebody's", failed: every(8*minute, of(170, "admin@example.org")...)},
		{name: "four names, and root again", failed: every(20*minute, "root", "p", "root", "q", "root", "r", "root", "root"), want: a + " sshd proven"},
		{name: "twelve names judge twice", failed: every(20*minute, numbered(12)...), want: a + " sshd proven; " + a + " sshd proven"},
		{name: "a line without a name", failed: every(20*minute, of(40, "")...)},
		{name: "mistyped before a log-in", failed: every(2*hour, numbered(9)...), notices: []Notice{
			login(30), login(2*hour + 30), login(4*hour + 30), login(6*hour + 30), login(8*hour + 30), login(10*hour + 30), login(12*hour + 30), login(14*hour + 30),
		}},
		{name: "everybody of an office mistypes, and logs in", failed: every(5*minute, numbered(9)...), notices: each(5 * minute)},
		{name: "whoever has an account guesses others", failed: every(5*minute, numbered(6)...), notices: []Notice{by("mallory", 30), by("mallory", 11*minute), by("mallory", 21*minute)}, want: a + " sshd proven"},
		{name: "a log-in half an hour later takes nothing off", failed: every(40*minute, numbered(6)...), notices: []Notice{login(30 * minute), login(70 * minute)}, want: a + " sshd proven"},
		{name: "whoever has an account guesses no faster", failed: every(4*minute, numbered(9)...), notices: []Notice{
			login(30), login(4*minute + 30), login(8*minute + 30), login(12*minute + 30), login(16*minute + 30), login(20*minute + 30), login(24*minute + 30),
		}, want: a + " sshd proven"},
		{name: "unproven, with somebody our side spoke to", failed: every(20*minute, numbered(6)...), config: func(c *Config) { c.Jails[0].Name = "sip" }, notices: []Notice{
			{Time: at(0), Kind: Contact, Source: netip.MustParsePrefix(a + "/32")},
		}, want: a + " sip stopped:contact"},
		{name: "off", config: func(c *Config) { c.Guess.Names = 0 }, failed: every(20*minute, numbered(20)...)},
		{name: "not where a jail does not combine", config: func(c *Config) { c.Jails[0].Combine = false }, failed: every(20*minute, numbered(20)...)},
		{name: "not in a jail taken from fail2ban", config: func(c *Config) { c.Jails[0].Strategy = Fail2ban }, failed: every(20*minute, numbered(20)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}, Guess: GuessConfig{Names: 6}}
			if tt.config != nil {
				tt.config(&c)
			}
			b := newBench(t, c)
			notices := tt.notices
			for _, o := range tt.failed {
				for len(notices) > 0 && !notices[0].Time.After(o.Time) {
					b.Notice(notices[0])
					notices = notices[1:]
				}
				if o.Jail = c.Jails[0].Name; o.Jail == "sip" {
					o.Proven = false
				}
				b.feed(o)
			}
			if got := b.told(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNoSuchUser(t *testing.T) {
	for _, tt := range []struct {
		text, user string
		want       bool
	}{
		{"Mar  1 10:00:00 gw sshd[1]: Failed password for invalid user steam from 192.0.2.7 port 1 ssh2", "steam", true},
		{"Mar  1 10:00:00 gw sshd[1]: Invalid user steam from 192.0.2.7 port 1", "steam", true},
		{"Mar  1 10:00:00 gw sshd[1]: Failed none for illegal user steam from 192.0.2.7 port 1 ssh2", "steam", true},
		{"Mar  1 10:00:00 gw sshd[1]: Failed password for steam from 192.0.2.7 port 1 ssh2", "steam", false},
		{"Mar  1 10:00:00 gw sshd[1]: Connection closed by authenticating user steam 192.0.2.7 port 1 [preauth]", "steam", false},
		{"Mar  1 10:00:00 gw sshd[1]: Connection closed by invalid user steam 192.0.2.7 port 1 [preauth]", "steam", true},
		{`[auth_basic:error] [client 192.0.2.7:1] AH01618: user steam not found: /priv/`, "steam", true},
		{`[auth_basic:error] [client 192.0.2.7:1] AH01617: user steam: authentication failure for "/priv/": Password Mismatch`, "steam", false},
		{`[error] 1#1: *1 user "steam" was not found in "/etc/htpasswd", client: 192.0.2.7, server: x`, "steam", true},
		{`[error] 1#1: *1 user "steam": password mismatch, client: 192.0.2.7, server: x`, "steam", false},
		{"imap-login: Aborted login (auth failed, 1 attempts): user=<steam>, method=PLAIN, rip=192.0.2.7", "steam", false},
		{"", "steam", false},
		{" user ", "", false},
		{strings.Repeat(" user ", 1000), "steam", false},
	} {
		if got := noSuchUser(tt.text, tt.user); got != tt.want {
			t.Errorf("%q, %q: %v", tt.text, tt.user, got)
		}
	}
}

// TestSlowGuessingEntersNoSum: five of six names and four of seven doors do not judge together, as whoever shares his address with many has both;
// an explanation tells of them.
func TestSlowGuessingEntersNoSum(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}, Guess: GuessConfig{Names: 6}})
	for _, o := range scanOf("192.0.2.7", 0, 4) {
		b.feed(o)
	}
	for i := range 5 {
		o := fail("sshd", "192.0.2.7", 1200*float64(1+i))
		o.User = fmt.Sprint("person", i)
		b.feed(o)
	}
	if got := b.told(); got != "" {
		t.Error(got)
	}
	e := b.Explain(addr("192.0.2.7"), at(6000))
	if got := strings.Join(e.Reasons, "\n"); !strings.Contains(got, "slow guessing: 0.83") {
		t.Errorf("nothing is told of the names: %q", got)
	}
}

// TestSlowGuessingTold: the reason names what was tried, and the account of memory is even once all is forgotten; a snapshot keeps the names.
func TestSlowGuessingTold(t *testing.T) {
	c := Config{Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}, Guess: GuessConfig{Names: 6}}
	b := newBench(t, c)
	for i := range 5 {
		o := fail("sshd", "192.0.2.7", 1200*float64(i))
		o.User = fmt.Sprint("person", i)
		b.feed(o)
	}
	var saved bytes.Buffer
	if err := b.Snapshot(&saved); err != nil {
		t.Fatal(err)
	}
	r := newBench(t, c)
	if err := r.Restore(&saved, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if r.logs.counts != b.logs.counts {
		t.Errorf("%d bytes after a restart, %d before", r.logs.counts, b.logs.counts)
	}
	o := fail("sshd", "192.0.2.7", 6000)
	o.User = "person5"
	r.feed(o)
	if len(r.verdicts) != 1 || r.logs.counts != 0 || len(r.logs.sources) != 0 {
		t.Fatalf("%s; %d bytes of %d sources are left", r.told(), r.logs.counts, len(r.logs.sources))
	}
	want := `sshd: slow guessing, 6 failures in 100 minutes, as "person0", "person1", "person2", "person3" and 2 more; score 1.00 (6 of 6 user names within 24 hours, repeated tries of common or unknown names count half)`
	if got := r.verdicts[0].Reasons[0]; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestTriesAreBounded: whatever names are made up in whatever order of time, few are kept, and the account of memory is right.
func TestTriesAreBounded(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{jail("sip", 1000, time.Minute)}, Guess: GuessConfig{Names: 6}})
	b.Notice(Notice{Time: at(0), Kind: Contact, Source: netip.MustParsePrefix("192.0.2.7/32")})
	for i := range 5000 {
		o := unproven(fail("sip", "192.0.2.7", float64(i*7919%80000)))
		if o.User = fmt.Sprint("n", i); i%3 == 0 {
			o.User = "root"
		}
		b.feed(o)
	}
	s := b.logs.active.oldest
	js := s.in(0)
	if len(js.tries) > tryName*6 {
		t.Errorf("%d tries are kept", len(js.tries))
	}
	if want := sourceCost + jailCost + hitCost*len(js.hits) + tryCost*len(js.tries); b.logs.counts != want {
		t.Errorf("%d bytes are accounted for, want %d", b.logs.counts, want)
	}
}
