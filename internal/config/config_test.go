package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit/golden"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pelletier/go-toml/v2"
)

var systemNames = []string{"openbsd", "freebsd", "netbsd", "dragonfly", "darwin", "linux"}

// known stands for detect/filter's answer.
func known(filter string) error {
	if strings.HasPrefix(filter, "nosuch") {
		return errors.New(`no filter "` + filter + `"; expected sshd, postfix …`)
	}
	return nil
}

func compiles(regex string) error {
	if strings.Contains(regex, "(") {
		return errors.New("unbalanced (")
	}
	return nil
}

func mustParse(t *testing.T, text string, set ...string) *Config {
	t.Helper()
	c, err := Parse("t.toml", []byte(text), Options{OS: "openbsd", Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, goos := range systemNames {
		c, err := Parse("", nil, Options{OS: goos})
		if err != nil {
			t.Fatalf("%s: an empty file has faults: %v", goos, err)
		}
		if diff := cmp.Diff(Default(goos), c, cmpopts.IgnoreUnexported(Config{})); diff != "" {
			t.Errorf("%s: an empty file is not the default:\n%s", goos, diff)
		}
		for _, j := range c.Jails {
			if j.Filter == "" || len(j.Logs) == 0 || !j.Builtin || !j.Enabled {
				t.Errorf("%s: jail %s is not whole: %+v", goos, j.Name, j)
			}
		}
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.toml")
	if _, err := Load(path, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want a missing file", err)
	}
	c, err := Load(path, Options{Missing: true})
	if err != nil || c.Path != "" {
		t.Errorf("got %v, %v; want the defaults", c, err)
	}
}

// The sample must say every key's default: uncommented, it is the default configuration.
func TestSampleIsDefault(t *testing.T) {
	t.Parallel()
	for _, goos := range systemNames {
		sample := Sample(goos)
		c, err := Parse("sample", []byte(sample), Options{OS: goos})
		if err != nil {
			t.Fatalf("%s: %v", goos, err)
		}
		if diff := cmp.Diff(Default(goos), c, cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Path")); diff != "" {
			t.Errorf("%s: the sample changes something:\n%s", goos, diff)
		}
		bare := uncomment(sample)
		c, err = Parse("sample", []byte(bare), Options{OS: goos})
		if err != nil {
			t.Fatalf("%s: %v\n%s", goos, err, bare)
		}
		c.Jail(sampleJail).Named = false
		if diff := cmp.Diff(Default(goos), c, cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Path"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: the sample's values are not the defaults:\n%s", goos, diff)
		}
		for _, k := range Keys(goos) {
			name := strings.Replace(k.Section, "NAME", sampleJail, 1)
			if _, ok := c.places[strings.TrimPrefix(name+"."+k.Name, ".")]; !ok {
				t.Errorf("%s: the sample lacks %s.%s", goos, name, k.Name)
			}
		}
	}
}

// uncomment takes the "# " off keys, section headers and continued lists.
func uncomment(sample string) string {
	var b strings.Builder
	for line := range strings.Lines(sample) {
		rest, ok := strings.CutPrefix(line, "# ")
		head, _, _ := strings.Cut(rest, " ")
		switch {
		case ok && (strings.HasPrefix(rest, "[") || strings.HasPrefix(rest, head+" = ")):
			b.WriteString(rest)
		case strings.HasPrefix(rest, "    ") && (strings.Trim(rest, " \n,]0123456789") == "" || strings.HasPrefix(strings.TrimSpace(rest), `"`)):
			b.WriteString(rest)
		}
	}
	return b.String()
}

// etc/ holds the samples as they are installed.
func TestSampleFiles(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"openbsd", "freebsd", "netbsd"} {
		golden.Check(t, filepath.Join("..", "..", "etc", goos, "pfwarden.toml"), Sample(goos))
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	c := mustParse(t, `
observe = true
never = ["192.0.2.1", "2001:db8::/32",
         "home.example.org"]
pf.anchor = "fail2ban"
pflog = { interface = "pflog1", snaplen = 0x80 }
[portscan]
threshold = 5.5
trap_ports = [23, 2_323]
[defaults]
findtime = "1d12h"
ladder = ["1h"]
[jail.sshd]
maxretry = 3
[jail."my.app"]
failregex = ['^bad login from <HOST>$']
logs = ["/var/log/app/*.log", "-"]
ports = [443]
`)
	if !c.Observe || c.PF.Anchor != "fail2ban" || c.Pflog.Interface != "pflog1" || c.Pflog.Snaplen != 128 || c.Portscan.Threshold != 5.5 {
		t.Errorf("got %+v", c)
	}
	if diff := cmp.Diff([]uint16{23, 2323}, c.Portscan.TrapPorts); diff != "" {
		t.Error(diff)
	}
	sshd, app := c.Jail("sshd"), c.Jail("my.app")
	if sshd.MaxRetry != 3 || sshd.FindTime != 36*time.Hour || sshd.Filter != "sshd" || sshd.Logs[0] != "/var/log/authlog" || !sshd.Named {
		t.Errorf("sshd: %+v", sshd)
	}
	want := Jail{
		Name: "my.app", Enabled: true, FailRegex: []string{"^bad login from <HOST>$"}, Logs: []string{"/var/log/app/*.log", "-"}, Ports: []uint16{443},
		Rule: c.Defaults, Named: true,
	}
	if diff := cmp.Diff(want, *app); diff != "" {
		t.Error(diff)
	}
	prefixes, names := c.NeverList()
	wantPrefixes := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32")}
	if diff := cmp.Diff(wantPrefixes, prefixes, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"home.example.org"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "[portscan]\nthreshold = 9\n",
		"portscan.threshold=5", "jail.sshd.maxretry=3", "jail.a.b.failregex=['x <HOST>']", "jail.a.b.logs=/x.log, /y.log", "observe=true",
		"pf.anchor=x/y", `pf.banned="b"`, "jail.sshd.findtime=2h", "defaults.ladder=1h,2h", "pflog.watch=", "portscan.trap_ports=23,24", "jail.sshd.filter=sshd[mode=ddos]")
	if c.Portscan.Threshold != 5 || !c.Observe || c.PF.Anchor != "x/y" || c.PF.Banned != "b" || len(c.Pflog.Watch) != 0 || len(c.Portscan.TrapPorts) != 2 {
		t.Errorf("got %+v", c)
	}
	if j := c.Jail("sshd"); j.MaxRetry != 3 || j.FindTime != 2*time.Hour || j.Filter != "sshd[mode=ddos]" {
		t.Errorf("got %+v", j)
	}
	if j := c.Jail("a.b"); j == nil || len(j.Logs) != 2 || j.Logs[1] != "/y.log" || len(j.Ladder) != 2 {
		t.Errorf("got %+v", j)
	}
}

// Each case is a text and every fault it has, word for word.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range faultCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("t.toml", []byte(tt.text), Options{OS: "openbsd", Set: tt.set, KnownFilter: known, KnownRegex: compiles})
			var faults Faults
			if err != nil && !errors.As(err, &faults) {
				t.Fatalf("got %T, want Faults", err)
			}
			var got []string
			for _, f := range faults {
				got = append(got, f.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A text that the TOML library refuses must be a fault of ours too, and never the other way round for a text without keys
// of ours: checked on every seed and case.
func FuzzParse(f *testing.F) {
	for _, goos := range systemNames {
		f.Add(Sample(goos))
		f.Add(uncomment(Sample(goos)))
	}
	for _, tt := range faultCases {
		f.Add(tt.text)
	}
	for _, s := range []string{"", "\xff", "a", "[", "[[", "a=[\n[\n[", "\"\"\"", "'''\n", "a={b={c=1}}", "[jail.x]\n[jail.x]", "jail=1", "[jail]\nx=1", "a=1e400", "a=9223372036854775808", "\r\n\r", "[?]\nx", "# \x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f.toml", []byte(text), Options{OS: "freebsd", KnownFilter: known, KnownRegex: compiles})
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v with error %v", c, err)
		}
		var faults Faults
		if err != nil && !errors.As(err, &faults) {
			t.Fatalf("%T is no Faults", err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, x := range faults {
			if x.File != "f.toml" || x.Line < 1 || x.Line > lines || x.Text == "" {
				t.Errorf("fault without place: %#v of %d lines", x, lines)
			}
		}
		var all map[string]any
		if toml.Unmarshal([]byte(text), &all) != nil && err == nil {
			t.Errorf("no TOML, and no fault")
		}
		if err == nil {
			c.Survey(Machine{Glob: func(string) ([]string, error) { return nil, nil }, Readable: func(string) error { return nil }, Interfaces: func() ([]string, error) { return nil, nil }})
		}
	})
}
