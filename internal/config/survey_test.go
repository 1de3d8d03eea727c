package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// machine is a system with just these files and interfaces.
func machine(files, interfaces []string) Machine {
	return Machine{
		Glob: func(pattern string) (out []string, err error) {
			for _, f := range files {
				ok, err := filepath.Match(pattern, f)
				if err != nil {
					return nil, err
				}
				if ok {
					out = append(out, f)
				}
			}
			return out, nil
		},
		Readable: func(path string) error {
			if strings.Contains(path, "secret") {
				return &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			}
			if !slices.Contains(files, path) {
				return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return nil
		},
		Interfaces: func() ([]string, error) { return interfaces, nil },
		Group: func(name string) error {
			if name != "wheel" {
				return errors.New("unknown")
			}
			return nil
		},
		Proof: func(filter string) string {
			if filter == "sshd" {
				return "tcp"
			}
			return "none"
		},
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	usualFiles := []string{"/sbin/pfctl", "/var/log/authlog", "/var/log/pflog", "/var/www/logs/access.log", "/secret.log", "/app/a.log"}
	for _, tt := range []struct {
		name, text string
		files      []string
		interfaces []string
		want       []string
	}{
		{name: "nothing to say", files: usualFiles, interfaces: []string{"em0", "pflog0"}},
		{name: "file is enough", files: usualFiles, interfaces: []string{"em0"}},
		{
			name: "bare machine", interfaces: []string{"em0"},
			want: []string{
				`:0: pf.pfctl: /sbin/pfctl does not exist; without a PF use backend = "memory"`,
				":0: pflog.interface: portscan has nothing to read now: no interface pflog0 and no file /var/log/pflog",
			},
		},
		{
			name: "no packets at all", files: usualFiles, text: "[pflog]\ninterface = \"\"\nfile = \"\"\nwatch = []\n",
			want: []string{
				"t.toml:2: pflog.interface: portscan can never fire: there is neither an interface nor a file to read PF's log from",
				"t.toml:4: pflog.watch: portscan can never fire: no interface is watched",
			},
		},
		{
			name: "interfaces", files: usualFiles, interfaces: []string{"em0", "pflog0"}, text: "[pflog]\nwatch = [\"em0\", \"em7\", \"wan\"]\n",
			want: []string{"t.toml:2: pflog.watch: there is no interface em7 now"},
		},
		{
			name: "the log's own interface watched", files: usualFiles, interfaces: []string{"em0", "pflog0"}, text: "[pflog]\nwatch = [\"pflog0\"]\n",
			want: []string{"t.toml:2: pflog.watch: pflog0 is where the log is read; what is watched are the interfaces that the packets came in on"},
		},
		{
			name: "never everything", files: usualFiles, text: "never = [\"0.0.0.0/1\", \"128.0.0.0/1\", \"::/0\"]\n",
			want: []string{"t.toml:1: never: covers every address: nothing can ever be banned"},
		},
		{
			name: "never every IPv4", files: usualFiles, text: "never = [\"0.0.0.0/0\", \"10.0.0.7/8\"]\n",
			want: []string{
				"t.toml:1: never: covers every IPv4 address: none can ever be banned",
				"t.toml:1: never: 10.0.0.7/8 is taken as the whole prefix 10.0.0.0/8; for one address leave /8 away",
			},
		},
		{name: "nearly everything", files: usualFiles, text: "never = [\"0.0.0.0/1\", \"128.0.0.0/2\"]\n"},
		{
			name: "logs", files: usualFiles,
			text: "[jail.a]\nfilter = \"sshd\"\nlogs = [\"/app/*.log\", \"/none/*.log\", \"/secret.log\", \"/nofile\", \"relative.log\", \"-\"]\n",
			want: []string{
				"t.toml:3: jail.a.logs: /none/*.log: this glob matches nothing (yet)",
				"t.toml:3: jail.a.logs: open /secret.log: permission denied",
				"t.toml:3: jail.a.logs: /nofile: this file does not exist (yet)",
				"t.toml:3: jail.a.logs: relative.log: this file does not exist (yet)",
				"t.toml:3: jail.a.logs: relative.log depends on the folder that the daemon is started in; better write the whole path",
			},
		},
		{
			name: "jail that cannot fire", files: usualFiles, text: "[jail.ftpd]\nenabled = true\n",
			want: []string{"t.toml:1: jail.ftpd.logs: the jail cannot fire: none of its logs exists now"},
		},
		{
			name: "another jail's log", files: usualFiles, text: "[jail.x]\nfilter = \"sshd[mode=all]\"\nlogs = [\"/var/www/logs/access.log\"]\n",
			want: []string{"t.toml:3: jail.x.logs: /var/www/logs/access.log is usually the log of httpd: the filter sshd will find nothing there"},
		},
		{
			name: "rules", files: usualFiles,
			text: "[defaults]\nladder = [\"1h\", \"10m\"]\nladder_memory = \"30m\"\njitter = \"2h\"\n[jail.sshd]\nmaxretry = 20000\nfindtime = \"5s\"\n[jail.httpd-auth]\nfindtime = \"5s\"\nladder = []\n[jail.httpd-noscript]\nenabled = false\n[jail.httpd-overflows]\nenabled = false\n[jail.httpd-probes]\nenabled = false\n",
			want: []string{
				"t.toml:2: defaults.ladder: step 2 (10m) is shorter than step 1 (1h)",
				"t.toml:3: defaults.ladder_memory: 30m is over before the first ban (1h) is: the second step is never reached",
				"t.toml:4: defaults.jitter: 2h is more than the first ban (1h) itself",
				"t.toml:6: jail.sshd.maxretry: can hardly ever be reached: 20000 failures within 5s",
				"t.toml:10: jail.httpd-auth.ladder: empty: there is no length for a ban, so the jail can never ban",
				"t.toml:9: jail.httpd-auth.findtime: 5s is very short for 5 failures: most logs have whole seconds",
			},
		},
		{
			name: "prefix without proof", files: usualFiles, text: "[prefix]\nenabled = true\n[jail.sshd]\nenabled = false\n",
			want: []string{"t.toml:2: prefix.enabled: can never fire: no jail that is on has proof"},
		},
		{
			name: "nothing on", files: []string{"/sbin/pfctl"}, text: "[portscan]\nenabled = false\n",
			want: []string{"t.toml:2: portscan.enabled: nothing is watched: no jail is on"},
		},
		{
			name: "the rest", files: usualFiles,
			text: "never_defaults = false\nfail2ban = \"/etc/fail2ban\"\n[pf]\nsuspects = \"banned\"\nrules_file = \"/etc/nothing\"\n[metrics]\nlisten = \":9845\"\n[control]\ngroup = \"nobodys\"\n[store]\nfile = \"x.db\"\n",
			want: []string{
				"t.toml:1: never_defaults: off, and never is empty: you can lock yourself out",
				"t.toml:4: pf.suspects: the same table as banned: whoever forges an address can have it cut off in both directions",
				"t.toml:5: pf.rules_file: /etc/nothing does not exist",
				"t.toml:2: fail2ban: /etc/fail2ban does not exist",
				"t.toml:7: metrics.listen: :9845 can be reached from outside: the metrics name attackers and your ports; TLS and passwords are set up by metrics.web_config",
				"t.toml:9: control.group: no group nobodys here: only root will be able to ask the daemon",
				"t.toml:11: store.file: x.db depends on the folder that the daemon is started in; better write the whole path",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := mustParse(t, tt.text)
			var got []string
			for _, w := range c.Survey(machine(tt.files, tt.interfaces)).Warnings {
				got = append(got, w.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "[jail.named]\nenabled = false\n[jail.app]\nfailregex = [\"^x <HOST>$\"]\nlogs = [\"/app/*.log\"]\nproof = \"tcp\"\nports = [80]\n")
	m := machine([]string{"/sbin/pfctl", "/var/log/authlog", "/var/log/pflog", "/app/a.log", "/app/b.log"}, []string{"pflog0"})
	s := c.Survey(m)
	if !s.Pflog.InterfaceFound || !s.Pflog.FileFound || !s.Portscan.On || s.Portscan.Ban != "10m" {
		t.Errorf("got %+v", s)
	}
	ladder := []string{"10m", "1h", "24h", "7d"}
	want := []JailSurvey{
		{Name: "sshd", On: true, Filter: "sshd", Logs: []string{"/var/log/authlog"}, Found: []string{"/var/log/authlog"}, MaxRetry: 5, FindTime: "10m", Ladder: ladder, Proof: "tcp", Combine: true},
		{Name: "named", Filter: "named", Logs: []string{"/var/log/daemon"}, MaxRetry: 5, FindTime: "10m", Ladder: ladder, Proof: "none", Combine: true},
		{
			Name: "app", On: true, Regexes: 1, Logs: []string{"/app/*.log"}, Found: []string{"/app/a.log", "/app/b.log"}, MaxRetry: 5, FindTime: "10m", Ladder: ladder,
			Proof: "tcp", Ports: []uint16{80}, Combine: true,
		},
	}
	if diff := cmp.Diff(want, s.Jails); diff != "" {
		t.Error(diff)
	}
	var names []string
	for _, j := range c.ActiveJails(m.Glob) {
		names = append(names, j.Name)
	}
	if diff := cmp.Diff([]string{"sshd", "app"}, names); diff != "" {
		t.Error(diff)
	}
	if len(s.Missing) != len(Default("openbsd").Jails)-2 {
		t.Errorf("missing: %+v", s.Missing)
	}
}

func TestCoversAll(t *testing.T) {
	t.Parallel()
	four, six := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	for _, tt := range []struct {
		prefixes string
		zero     netip.Addr
		want     bool
	}{
		{"", four, false},
		{"0.0.0.0/0", four, true},
		{"0.0.0.0/0", six, false},
		{"::/0", six, true},
		{"128.0.0.0/1 0.0.0.0/2 64.0.0.0/2", four, true},
		{"128.0.0.0/1 0.0.0.0/2 64.0.0.0/3", four, false},
		{"0.0.0.0/1 10.0.0.0/8 128.0.0.0/1", four, true},
		{"::/1 8000::/1", six, true},
		{"::1/128 8000::/1", six, false},
	} {
		var prefixes []netip.Prefix
		for _, s := range strings.Fields(tt.prefixes) {
			prefixes = append(prefixes, netip.MustParsePrefix(s))
		}
		if got := coversAll(prefixes, tt.zero); got != tt.want {
			t.Errorf("coversAll(%s, %s) = %t", tt.prefixes, tt.zero, got)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "10m": 10 * time.Minute, "1d12h": 36 * time.Hour, "2w": 14 * day, "500ms": 500 * time.Millisecond, "1m30s": 90 * time.Second,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10", "m", "-1h", "1.5h", "1h1h", "1m1h", "1y", "999999999999999999999d", "99999999w", " 1h", "1h ", "1 h", "١h"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 24 * time.Hour: "24h", 7 * day: "7d", 14 * day: "2w", 36 * time.Hour: "1d12h", 90 * time.Minute: "1h30m", 30 * day: "30d", 1500 * time.Millisecond: "1s500ms",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"0s", "10m", "1d12h", "2w", "9223372036s", "15250w1d23h47m16s854ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		again, err := ParseDuration(FormatDuration(d))
		if err != nil || again != d {
			t.Errorf("%q is %v, written %q, read again %v, %v", s, d, FormatDuration(d), again, err)
		}
	})
}
