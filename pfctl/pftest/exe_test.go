package pftest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/programs"

	"github.com/google/go-cmp/cmp"
)

// TestTranscripts replays recorded sessions of two systems' own pfctl. What differs are lines that the recording itself printed
// about ioctls and look-ups.
func TestTranscripts(t *testing.T) {
	data := testkit.Recorded(t, "data/pfctl")
	bin := programs.Build(t, "./pfctl/pftest/pfctl", "./pfctl/pftest/pfpkt")
	recorder := regexp.MustCompile(`^[<>] 2> \[(ioctl|DNS LOOKUP)`)
	for _, c := range []struct{ dir, profile string }{{"openbsd76", "openbsd"}, {"freebsd121", "freebsd12"}} {
		for _, script := range []string{"s1", "s3"} {
			t.Run(c.profile+" "+script, func(t *testing.T) {
				cmd := exec.Command("bash", filepath.Join(data, "replay.sh"), filepath.Join(bin, "pfctl"), filepath.Join(bin, "pfpkt"), c.profile,
					filepath.Join(data, c.dir, script+".sh"), filepath.Join(data, c.dir, script+".transcript.txt"))
				cmd.Env = append(os.Environ(), "SHOW=1000", "TZ=UTC")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				}
				for l := range strings.Lines(string(out)) {
					if strings.HasPrefix(l, "<") && !recorder.MatchString(l) || strings.HasPrefix(l, ">") {
						t.Errorf("differs: %s", l)
					}
				}
				if !bytes.Contains(out, []byte("same ")) {
					t.Errorf("no result: %s", out)
				}
			})
		}
	}
}

// TestOpenBSDRegress runs OpenBSD's own table tests through its own script. Left out are the counts of the kernel's allocations, which the script
// takes from vmstat(8).
func TestOpenBSDRegress(t *testing.T) {
	data := testkit.Recorded(t, "data/pfctl/openbsd-regress")
	bin := programs.Build(t, "./pfctl/pftest/pfctl", "./pfctl/pftest/pfpkt")
	work := t.TempDir()
	// OpenBSD's shell expands \n in echo; bash does so when told. vmstat is made to print nothing.
	script, err := os.ReadFile(filepath.Join(data, "pfr.exec"))
	if err != nil {
		t.Fatal(err)
	}
	text := "shopt -s xpg_echo\nvmstat() { :; }\n" + string(script)
	exe := filepath.Join(work, "pfr.exec")
	if err := os.WriteFile(exe, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob(filepath.Join(data, "pfr*.in"))
	if err != nil || len(tests) != 15 {
		t.Fatalf("%d tests, %v", len(tests), err)
	}
	for _, in := range tests {
		name := strings.TrimSuffix(filepath.Base(in), ".in")
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(data, name+".ok"))
			if err != nil {
				t.Fatal(err)
			}
			env := append(os.Environ(), "PFCTL="+filepath.Join(bin, "pfctl"), "PFTEST_STATE="+t.TempDir(), "PFTEST_PROFILE=openbsd-old", "LC_ALL=C",
				"PFTEST_IFS=lo0=127.0.0.1/8,::1/128,fe80::1/64")
			setup := exec.Command(filepath.Join(bin, "pfctl"), "-f", "-") // the tests want the anchor in pf.conf
			setup.Env, setup.Stdin = env, strings.NewReader("anchor regress\npass all\n")
			if out, err := setup.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			cmd := exec.Command("bash", exe, in)
			cmd.Env = env
			got, _ := cmd.Output() // its status is about the allocations
			if diff := cmp.Diff(regressLines(string(want)), regressLines(string(got))); diff != "" {
				t.Errorf("-recorded +ours\n%s", diff)
			}
		})
	}
}

func regressLines(s string) []string {
	out := strings.Split(s, "\n")
	return slices.DeleteFunc(out, func(l string) bool {
		return strings.HasPrefix(l, "ktable:") || strings.HasPrefix(l, "pfrke_") || strings.Contains(l, "arithmetic syntax error") || l == ""
	})
}
