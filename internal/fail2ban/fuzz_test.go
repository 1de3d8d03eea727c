package fail2ban

import (
	"errors"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// FuzzLoad reads folders that nobody meant well with: whatever is in them, there is an answer, soon, and of a bounded size.
func FuzzLoad(f *testing.F) {
	f.Add("[a]\nenabled = true\nfilter = x[o=1]\naction = y[name=<name>, p=\"1,2\"]\nlogpath = /nonexistent\n", "[Definition]\nfailregex = ^a <HOST> <o>$\n", "[Definition]\nactionban = echo <ip> <p>\n")
	f.Add("[DEFAULT]\nx = %(y)s\ny = %(x)s\n[a]\nenabled = %(x)s\n", "[INCLUDES]\nbefore = x.conf\nafter = ../filter.d/x.conf\n", "[Init]\na = <b>\nb = <a>\n")
	f.Add("[INCLUDES]\nbefore = /dev/zero\n[a]\nenabled = 1\n", "[Definition]\nfailregex = (((((((((((<HOST>)*)*)*)*)*)*)*)*)*)*)*\n", "[Definition]\nactionban = <a>\na = <b><b>\nb = <c><c>\nc = <d><d>\n")
	f.Add("[DEFAULT]\na = %(b)s%(b)s%(b)s\nb = %(c)s%(c)s%(c)s\nc = %(d)s%(d)s%(d)s\nd = %(e)s%(e)s%(e)s\ne = xxxxxxxxxx\n[j]\nenabled = true\nbantime = %(a)s\n", "", "")
	f.Add("[j]\nenabled = true\nbanaction = y\naction = %(banaction)s[a=b\n  %(known/action)s\nfilter = x\nbackend = systemd\njournalmatch = _A=b + _C=d\n", "[Definition]\n_p = <known/x>\nprefregex = ^<F-CONTENT>.+</F-CONTENT>$\nfailregex = <_p>\n  <HOST>\ndatepattern = {^LN-BEG}\n", "[Definition]\nactionstart = pfctl -a f2b/<name> -f-\nactionban = pfctl -a f2b -t <name> -T add <ip>\n[Init?family=inet6]\nx = y\n")
	f.Fuzz(func(t *testing.T, jails, filter, action string) {
		if len(jails)+len(filter)+len(action) > 20_000 {
			t.Skip("fail2ban reads any size; time would tell nothing")
		}
		dir := folder(t, "jail.conf", jails, "filter.d/x.conf", filter, "action.d/y.conf", action)
		began := testkit.ProcessorTime()
		setup, err := Load(dir, Options{AllowMissingLogs: true, Glob: func(string) ([]string, error) { return nil, nil }})
		if err == nil {
			r := setup.Compile(RunOptions{ReadFile: func(string) ([]byte, error) { return nil, errors.New("not in this test") }})
			for _, fault := range append(setup.Faults, r.Faults...) {
				if len(fault.Error()) > 100_000 {
					t.Errorf("a fault of %d bytes", len(fault.Error()))
				}
			}
			_ = setup.Stream()
		}
		if took := testkit.ProcessorTime() - began; took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
