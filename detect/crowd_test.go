package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestGuessingInACrowd: where many addresses try one name that nobody has, few failures judge each of them, whatever the time between, and those
// from before it was known count too. Who has another reason to fail is not of the crowd.
func TestGuessingInACrowd(t *testing.T) {
	const minute, hour = 60.0, 3600.0
	invalid := func(source, user string, s float64) Observation {
		o := fail("sshd", source, s)
		o.User, o.Text = user, "sshd[1]: Failed password for invalid user "+user+" from "+source+" port 1 ssh2"
		return o
	}
	known := func(source, user string, s float64) Observation {
		o := fail("sshd", source, s)
		o.User, o.Text = user, "sshd[1]: Failed password for "+user+" from "+source+" port 1 ssh2"
		return o
	}
	type maker = func(source, user string, s float64) Observation
	// crowd: n addresses that try a name each, so many times.
	crowd := func(of maker, n, times int, names ...string) (list []Observation) {
		for i := range times {
			for k := range n {
				list = append(list, of(fmt.Sprintf("198.51.%d.7", k), names[(i+k)%len(names)], 40*minute*float64(i)+float64(k)))
			}
		}
		return list
	}
	one := func(of maker, times int, names ...string) (list []Observation) {
		for i := range times {
			list = append(list, of("192.0.2.7", names[i%len(names)], 5*hour+30*minute*float64(i)))
		}
		return list
	}
	tests := []struct {
		name   string
		config func(*Config)
		failed []Observation
		want   int  // addresses of the crowd that are banned
		alone  bool // 192.0.2.7 is
	}{
		{name: "five tries of one name that nobody has", failed: crowd(invalid, 30, 5, "steam"), want: 30},
		{name: "four tries", failed: crowd(invalid, 30, 4, "steam")},
		{name: "four tries of two names", failed: crowd(invalid, 30, 4, "steam", "nagios"), want: 30},
		{name: "three names", failed: crowd(invalid, 36, 3, "steam", "nagios", "ts3"), want: 36},
		{name: "eleven addresses are no crowd", failed: crowd(invalid, 11, 9, "steam")},
		{name: "root, whom the server knows", failed: crowd(known, 30, 6, "root")},
		{name: "root seven times", failed: crowd(known, 30, 7, "root"), want: 30},
		{name: "root and admin", failed: crowd(known, 30, 4, "root", "admin"), want: 30},
		{name: "the telephones of one person, with an old password", failed: crowd(known, 30, 12, "alice")},
		{name: "of two persons", failed: crowd(known, 30, 12, "alice", "bob")},
		{name: "a name that only one source tries", failed: append(crowd(invalid, 30, 4, "steam"), one(invalid, 10, "backup2")...)},
		{name: "who mistypes root in times of a crowd", failed: append(crowd(known, 30, 4, "root"), one(known, 6, "root")...)},
		{name: "who mistypes his own name too", failed: append(crowd(known, 30, 4, "root"), one(known, 10, "root", "alice")...)},
		{name: "who joins the crowd later", failed: append(crowd(invalid, 30, 4, "steam"), one(invalid, 5, "steam")...), alone: true},
		{name: "off", config: func(c *Config) { c.Guess.Names = 0 }, failed: crowd(invalid, 30, 9, "steam")},
		{name: "not where a jail does not combine", config: func(c *Config) { c.Jails[0].Combine = false }, failed: crowd(invalid, 30, 9, "steam")},
		{name: "more names wanted", config: func(c *Config) { c.Guess.Names = 12 }, failed: crowd(invalid, 30, 10, "steam")},
		{name: "one name wanted", config: func(c *Config) { c.Guess.Names = 1 }, failed: crowd(invalid, 30, 5, "steam")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}, Guess: GuessConfig{Names: 6}}
			if tt.config != nil {
				tt.config(&c)
			}
			b := newBench(t, c)
			for _, o := range tt.failed {
				b.feed(o)
			}
			told := b.told()
			got := 0
			for k := range 40 {
				got += boolInt(strings.Contains(told, fmt.Sprintf("198.51.%d.7 sshd proven", k)))
			}
			if alone := strings.Contains(told, "192.0.2.7"); got != tt.want || alone != tt.alone {
				t.Errorf("%d of the crowd were banned, want %d; the other one %v, want %v: %s", got, tt.want, alone, tt.alone, told)
			}
		})
	}
}

// TestCrowdTold: the sentence says why so few failures were enough.
func TestCrowdTold(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}, Guess: GuessConfig{Names: 6}})
	var last Verdict
	for i := range 5 {
		for k := range 14 {
			o := fail("sshd", fmt.Sprintf("198.51.%d.7", k), 2400*float64(i)+float64(k))
			o.User, o.Text = "steam", "sshd[1]: Invalid user steam from 198.51.100.7 port 1"
			b.Observe([]Observation{o}, func(v Verdict) { last = v })
		}
	}
	const want = `sshd: slow guessing, 5 failures in 3 hours, as "steam"; score 1.00 (3 of 3 user names within 24 hours, ` +
		`repeated tries of common or unknown names count half; few suffice, since many addresses try them)`
	if len(last.Reasons) != 1 || last.Reasons[0] != want {
		t.Errorf("got %q, want %q", last.Reasons, want)
	}
}
