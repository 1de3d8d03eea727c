package privsep

import (
	"encoding/json"
	stdflag "flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = stdflag.Bool("update", false, "write the golden files anew")

// knownPromises are those of OpenBSD's pledge(2).
const knownPromises = " audio bpf chown cpath disklabel dns dpath drm error exec fattr flock getpw id inet mcast pf proc prot_exec ps recvfd route " +
	"rpath sendfd settime stdio tape tty unix unveil video vminfo vmm wpath wroute "

// TestPolicies compares what is left to each process, for some configurations, with what was agreed on (testdata/policies.json).
func TestPolicies(t *testing.T) {
	t.Parallel()
	small := Settings{Pfctl: "/sbin/pfctl", Files: []string{"/var/log/authlog"}}
	usual := Settings{Pfctl: "/sbin/pfctl", Interface: "pflog0", NeverDefaults: true}
	program := "/usr/local/sbin/pfwarden"
	got := map[string]Policy{
		"privileged, one log":                  guardPolicy(&small, GuardNeeds{Program: program}, []string{"/var/log"}),
		"privileged, pflog0, defaults, syslog": guardPolicy(&usual, GuardNeeds{Program: program, Syslog: true, Socket: "/var/run/pfwarden.sock"}, []string{"/var/log", "/var/www/logs"}),
		"privileged, with a journal":           guardPolicy(&small, GuardNeeds{Program: program, Journal: "/var/log/pfwarden.journal"}, []string{"/var/log"}),
		"worker, memory only":                  workerPolicy(WorkerNeeds{}),
		"worker, usual":                        workerPolicy(WorkerNeeds{Store: true, Interface: true, Routes: true}),
		"hooks, actions":                       hooksPolicy(""),
		"hooks, fail2ban's log":                hooksPolicy("/var/log/fail2ban.log"),
	}
	for name, p := range got {
		for _, word := range strings.Fields(p.Promises) {
			if !strings.Contains(knownPromises, " "+word+" ") {
				t.Errorf("%s: pledge(2) knows no promise %q", name, word)
			}
		}
		seen := map[string]bool{}
		for _, v := range p.Visible {
			if strings.Trim(v.Rights, "rwxc") != "" || v.Rights == "" || !filepath.IsAbs(v.Path) || seen[v.Path] {
				t.Errorf("%s: %+v", name, v)
			}
			seen[v.Path] = true
			if strings.Contains(v.Rights, "x") && strings.ContainsAny(v.Rights, "wc") {
				t.Errorf("%s: %s can be written and run", name, v.Path)
			}
			for right, promise := range map[string]string{"r": "rpath", "w": "wpath", "c": "cpath", "x": "exec"} {
				if strings.Contains(v.Rights, right) && !strings.Contains(" "+p.Promises+" ", " "+promise+" ") && v.Path != "/dev/null" && v.Path != "/dev/log" {
					t.Errorf("%s: %s is visible for %s without the promise %s", name, v.Path, right, promise)
				}
			}
		}
		if strings.HasPrefix(name, "worker") {
			for _, bad := range []string{"exec", "proc", "sendfd", "id", "dns", "chown", "prot_exec"} {
				if strings.Contains(" "+p.Promises+" ", " "+bad+" ") {
					t.Errorf("%s: promise %s", name, bad)
				}
			}
		}
	}
	text, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "policies.json")
	if *update {
		if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
