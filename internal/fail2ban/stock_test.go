package fail2ban

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/debian"

	"github.com/google/go-cmp/cmp"
)

// TestStockJails enables every jail of Debian's package and compares what they come to with what that package's own client says.
func TestStockJails(t *testing.T) { debian.EachFail2ban(t, testStockJails) }

func testStockJails(t *testing.T, root string) {
	dir := debian.Configuration(t, root)
	stock, _, err := readTree(dir, "jail")
	testkit.Must(t, err)
	var local strings.Builder
	for _, name := range stock.order {
		if name != "INCLUDES" {
			local.WriteString("[" + name + "]\nenabled = true\nlogpath = /nonexistent\nbackend = polling\n")
		}
	}
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "jail.local"), []byte(local.String()), 0o644))
	// Python prints lists of its own; it turns them into JSON as well.
	cmd := debian.Python(t, root, "-c", `
import sys, ast, json, subprocess
out = subprocess.run([sys.executable, sys.argv[1], "-c", sys.argv[2], "-d"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
for l in out.splitlines():
    if l.startswith("["): print(json.dumps(ast.literal_eval(l)))
`, filepath.Join(root, "usr/bin/fail2ban-client"), dir)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the package's client does not run here: %v", err)
	}
	var stream [][]any
	for line := range bytes.Lines(out) {
		var words []any
		testkit.Must(t, json.Unmarshal(line, &words))
		stream = append(stream, words)
	}
	want, faults := parseStream(t, stream)
	setup, err := Load(dir, Options{Strict: true, AllowMissingLogs: true})
	testkit.Must(t, err)
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
