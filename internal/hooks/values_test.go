package hooks

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestValues: what each tag's value may be.
func TestValues(t *testing.T) {
	t.Parallel()
	plain := kinds{jails: map[string]bool{"sshd": true}}
	others := kinds{jails: plain.jails, others: true}
	for _, c := range []struct {
		tag, value    string
		plain, others bool
	}{
		{"ip", "192.0.2.7", true, true}, {"ip", "192.0.2.0/24", true, true}, {"ip", "2001:db8::/64", true, true}, {"fid", "2001:db8::7", true, true},
		{"ip", "192.0.2.7/24", false, true}, {"ip", "192.0.2.7/32", true, true}, {"ip", "192.0.2.07", false, true}, {"ip", "2001:DB8::7", false, true},
		{"ip", "::ffff:192.0.2.7", false, true}, {"ip", "fe80::1%em0", false, true}, {"ip", "", false, false}, {"ip", "root", false, true}, {"fid", "root@a.example", false, true},
		{"ip", "192.0.2.7 -j ACCEPT", false, false}, {"fid", "a\tb", false, false}, {"fid", "a\nb", false, false}, {"fid", "*", false, false}, {"fid", "a[b]", false, false},
		{"fid", "-rf", false, false}, {"fid", "a\x00", false, false}, {"fid", strings.Repeat("x", maxIdentifier+1), false, false}, {"fid", "a\u00a0b", false, false},
		{"failures", "3", true, true}, {"failures", "3 4", false, false}, {"failures", "0x3", false, false}, {"failures", strings.Repeat("9", 16), false, false},
		{"bantime", "-1", true, true}, {"bantime", "1.5", false, false}, {"time", "1700000000.25", true, true}, {"time", "now", false, false},
		{"jail.name", "sshd", true, true}, {"jail.name", "other", false, false}, {"family", "inet4", true, true}, {"family", "inet5", false, false},
		{"ip-rev", "7.2.0.192.", true, true}, {"ip-rev", "1.2.3.", false, false}, {"ip-rev", "....", false, false}, {"ip-rev", strings.Repeat("f.", 32), true, true}, {"ip-rev", "a.b.c.d.", false, false},
		{"ip-host", "a.example", true, true}, {"ip-host", "", true, true}, {"ip-host", "a b", false, false}, {"restored", "1", true, true}, {"restored", "yes", false, false},
		{"raw-ticket", "BanTicket: ip=192.0.2.7 time=1.5 bantime=600 bancount=1 #attempts=3", true, true},
		{"raw-ticket", "BanTicket: ip=192.0.2.7; reboot time=1.5 bantime=600 bancount=1 #attempts=3", false, false}, {"raw-ticket", "x", false, false},
		{"matches", "$(reboot)\n*", true, true}, {"F-USER", "a b", true, true}, {"F-USER", "a\x00", false, false}, {"matches", strings.Repeat("x", maxValue+1), false, false},
		{"port", "22", false, false}, {"unknown", "x", false, false},
	} {
		for k, want := range map[*kinds]bool{&plain: c.plain, &others: c.others} {
			if err := k.check([]field{{c.tag, c.value}}); (err == nil) != want {
				t.Errorf("<%s> = %.60q where identifiers are %v: %v, want %v", c.tag, c.value, k.others, err, want)
			}
		}
	}
	for _, c := range []struct {
		fields []field
		want   bool
	}{
		{[]field{{"family", "inet4"}, {"ip", "192.0.2.7"}, {"ip-rev", "7.2.0.192."}}, true},
		{[]field{{"family", "inet6"}, {"ip", "192.0.2.7"}}, false},
		{[]field{{"ip-rev", "8.2.0.192."}, {"ip", "192.0.2.7"}}, false},
		{[]field{{"family", ""}, {"ip", "root"}}, true},
	} {
		if err := others.check(c.fields); (err == nil) != c.want {
			t.Errorf("%q: %v", c.fields, err)
		}
	}
}

// FuzzValues: whatever is taken for whom a ban is about is one word of a command that does not quote it, and no option.
func FuzzValues(f *testing.F) {
	for _, v := range []string{"192.0.2.7", "2001:db8::/64", "root", "a b", "$(reboot)", "-rf", "*", "a;b", "\x85", "é", "192.0.2.7\n", "::ffff:1.2.3.4", "~root", "\\", "a'b"} {
		f.Add("ip", v)
		f.Add("raw-ticket", "BanTicket: ip="+v+" time=1 bantime=1 bancount=1 #attempts=1")
	}
	f.Add("ip-rev", "7.2.0.192.")
	f.Add("time", "1.5")
	f.Fuzz(func(t *testing.T, tag, v string) {
		for _, k := range []kinds{{}, {others: true}} {
			if k.check([]field{{tag, v}}) != nil {
				continue
			}
			if strings.Contains(v, "\x00") || len(v) > maxValue {
				t.Fatalf("took %q for <%s>", v, tag)
			}
			if tag != "ip" && tag != "fid" {
				continue
			}
			if _, ok := canonical(v); !ok && !k.others {
				t.Fatalf("took %q for an address", v)
			}
			if f := strings.Fields(v); len(f) != 1 || f[0] != v || v[0] == '-' || strings.ContainsAny(v, "*?[") {
				t.Fatalf("took %q for one word", v)
			}
		}
	})
}

// TestOneWord asks the shell: a value that is taken for <ip> stays one argument where the command does not quote it.
func TestOneWord(t *testing.T) {
	t.Parallel()
	k := kinds{others: true}
	for _, v := range []string{"192.0.2.7", "2001:db8::/64", "$(id)", "`id`", "a;b", "a&b", "a|b", "a>b", "\"a", "'a", "\\", "~", "{a,b}", "#a", "a\x85b", "a!b"} {
		if !k.source(v) {
			t.Errorf("%q is no identifier", v)
		}
		command, args := fill(`set -- <ip>; printf '%s,%s' $# "$1"`, []field{{"ip", v}})
		out, err := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", command}, args...)...).Output() //nolint:gosec // that is what is tested
		if want := fmt.Sprintf("1,%s", v); err != nil || string(out) != want {
			t.Errorf("%q became %q, %v", v, out, err)
		}
	}
}
