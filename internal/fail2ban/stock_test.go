package fail2ban

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStockJails enables every jail of Debian's package and compares what they come to with what that package's own client says.
func TestStockJails(t *testing.T) { eachRelease(t, testStockJails) }

func testStockJails(t *testing.T, root string) {
	modules, err := filepath.Glob(filepath.Join(root, "usr/lib/python3*/dist-packages"))
	must(t, err)
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil || len(modules) == 0 {
		t.Skip("needs Python to run the package's client")
	}
	dir := filepath.Join(t.TempDir(), "fail2ban")
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(root, "etc/fail2ban"))))
	must(t, os.RemoveAll(filepath.Join(dir, "jail.d")))
	stock, _, err := readTree(dir, "jail")
	must(t, err)
	var local strings.Builder
	for _, name := range stock.order {
		if name != "INCLUDES" {
			local.WriteString("[" + name + "]\nenabled = true\nlogpath = /nonexistent\nbackend = polling\n")
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "jail.local"), []byte(local.String()), 0o644))
	// Python prints lists of its own; it turns them into JSON as well.
	cmd := exec.Command(python, "-c", `
import sys, ast, json, subprocess
out = subprocess.run([sys.executable, sys.argv[1], "-c", sys.argv[2], "-d"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
for l in out.splitlines():
    if l.startswith("["): print(json.dumps(ast.literal_eval(l)))
`, filepath.Join(root, "usr/bin/fail2ban-client"), dir)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+modules[0])
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the package's client does not run here: %v", err)
	}
	var stream [][]any
	for line := range bytes.Lines(out) {
		var words []any
		must(t, json.Unmarshal(line, &words))
		stream = append(stream, words)
	}
	want, faults := parseStream(t, stream)
	setup, err := Load(dir, Options{Strict: true, AllowMissingLogs: true})
	must(t, err)
	got := make(map[string]*effective)
	for _, j := range setup.Jails {
		got[j.Name] = effect(j)
	}
	t.Logf("%d jails here, %d there, faults %v and %v", len(got), len(want), setup.Faults, faults)
	if len(want) < 50 || len(got) != len(want) {
		t.Fatalf("%d jails, want %d", len(got), len(want))
	}
	for name, w := range want {
		g := got[name]
		if g == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		if name == "pass2allow-ftp" && w.Actions["iptables-multiport"]["blocktype?family=inet6"] != g.Actions["iptables-multiport"]["blocktype?family=inet6"] {
			// An option given in the jail overrides both families in the release that was recorded; 1.0.2 left the second alone.
			t.Logf("%s: blocktype is the jail's for IPv6 too", name)
			delete(w.Actions["iptables-multiport"], "blocktype?family=inet6")
			delete(g.Actions["iptables-multiport"], "blocktype?family=inet6")
		}
		if d := cmp.Diff(w, g); d != "" {
			t.Errorf("%s (-fail2ban +ours):\n%s", name, d)
		}
	}
}
