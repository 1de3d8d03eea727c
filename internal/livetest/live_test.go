package livetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/testkit"
)

// gateway is a running pfwarden over the stand-in pfctl.
type gateway struct {
	t              *testing.T
	dir, bin       string
	pfctl, pfpkt   string
	config, socket string
	metrics        string
	env            []string
	daemon         *exec.Cmd
	pflog          string
	pf             string   // more of the configuration's section [pf]
	store          string   // the ledger's file; "" = pfwarden.db beside the rest
	head           string   // more of the configuration, before its first section
	more           []string // arguments of run
	namespace      string   // that the daemon runs in; "" = this one
	folder         string   // of fail2ban
	sshd           int      // processes of sshd that were logged
}

// build compiles the programs once for a test.
func build(t *testing.T) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{t: t, dir: dir, bin: filepath.Join(dir, "pfwarden"), pfctl: filepath.Join(dir, "pfctl"), pfpkt: filepath.Join(dir, "pfpkt"),
		config: filepath.Join(dir, "pfwarden.toml"), socket: filepath.Join(dir, "s"), pflog: filepath.Join(dir, "pflog"), metrics: freeAddress(t)}
	root := filepath.Join("..", "..")
	for out, pkg := range map[string]string{g.bin: "./cmd/pfwarden", g.pfctl: "./pfctl/pftest/pfctl", g.pfpkt: "./pfctl/pftest/pfpkt"} {
		cmd := exec.Command("go", "build", "-o", out, pkg)
		cmd.Dir = root
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, text)
		}
	}
	state := filepath.Join(dir, "pf")
	testkit.Must(t, os.Mkdir(state, 0o700))
	g.env = []string{"PFTEST_STATE=" + state, "PFTEST_PROFILE=openbsd"}
	g.standIn("-e")
	g.load("anchor \"pfwarden\"\npass all\n")
	return g
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// standIn runs the stand-in pfctl.
func (g *gateway) standIn(args ...string) string {
	g.t.Helper()
	cmd := exec.Command(g.pfctl, args...)
	cmd.Env = append(os.Environ(), g.env...)
	out, err := cmd.Output()
	if err != nil && !strings.Contains(strings.Join(args, " "), "-T show") {
		g.t.Fatalf("pfctl %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func (g *gateway) load(rules string) {
	g.t.Helper()
	cmd := exec.Command(g.pfctl, "-f", "-")
	cmd.Env = append(os.Environ(), g.env...)
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		g.t.Fatalf("loading the main ruleset: %v\n%s", err, out)
	}
}

// packets runs packets through the stand-in's PF.
func (g *gateway) packets(from string, count int) string {
	g.t.Helper()
	cmd := exec.Command(g.pfpkt, "in", "4", from, serverAddress, "6", "40000", "22", "60", "2", fmt.Sprint(count))
	cmd.Env = append(os.Environ(), g.env...)
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatalf("pfpkt: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// run starts the daemon.
func (g *gateway) run(config string) {
	g.t.Helper()
	g.configure(config)
	g.again()
}

// configure writes the configuration.
func (g *gateway) configure(config string) {
	g.t.Helper()
	config = g.head + fmt.Sprintf(`[pf]
pfctl = %q
%s
[pflog]
interface = ""
file = %q
watch = ["em0"]
[metrics]
listen = %q
[store]
file = %q
[control]
socket = %q
group = ""
[log]
target = "stderr"
`, g.pfctl, g.pf, g.pflog, g.metrics, cmp.Or(g.store, filepath.Join(g.dir, "pfwarden.db")), g.socket) + config
	testkit.Must(g.t, os.WriteFile(g.config, []byte(config), 0o600))
}

// again starts the daemon with the configuration that it had.
func (g *gateway) again() {
	g.t.Helper()
	args := append([]string{g.bin, "run", "-f", g.config}, g.more...)
	if g.namespace != "" {
		args = in(g.namespace, args...)
	}
	g.daemon = start(g.t, "pfwarden", g.env, args...)
	testkit.Within(g.t, 10*time.Second, "the daemon answers", func() bool {
		return exec.Command(g.bin, "--socket", g.socket, "status").Run() == nil
	})
}

// kill ends the daemon as a crash would.
func (g *gateway) kill() {
	g.t.Helper()
	testkit.Must(g.t, g.daemon.Process.Kill())
	_, _ = g.daemon.Process.Wait()
}

// cli runs a verb and returns what it prints.
func (g *gateway) cli(args ...string) string {
	g.t.Helper()
	out, err := exec.Command(g.bin, append([]string{"--socket", g.socket}, args...)...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("pfwarden %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// ban is a line of bans -o json.
type ban struct {
	Address, Table, Jail, Reason string
	Proven, Observed             bool
	Packets                      uint64
}

func (g *gateway) bans() map[string]ban {
	g.t.Helper()
	out := make(map[string]ban)
	for _, line := range strings.Split(strings.TrimSpace(g.cli("bans", "-o", "json")), "\n") {
		if line == "" {
			continue
		}
		var b ban
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			g.t.Fatalf("bans: %v in %q", err, line)
		}
		out[b.Address] = b
	}
	return out
}

// table lists the addresses of one of our tables, as PF shows them.
func (g *gateway) table(name string) map[string]bool {
	g.t.Helper()
	in := make(map[string]bool)
	for _, a := range strings.Fields(g.standIn("-a", "pfwarden", "-t", name, "-T", "show")) {
		in[a] = true
	}
	return in
}

func (g *gateway) scrape() string {
	g.t.Helper()
	resp, err := http.Get("http://" + g.metrics + "/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	testkit.Must(g.t, err)
	return string(text)
}

// scan appends blocked SYNs of a source to the pflog file, one for each port.
func (g *gateway) scan(source string, ports ...uint16) {
	g.t.Helper()
	format := pflogwrite.Format{}
	f, err := os.OpenFile(g.pflog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	testkit.Must(g.t, err)
	defer f.Close()
	appendRecords(g.t, f, format, netip.MustParseAddr(source), ports)
}

// TestLive is the house as a user runs it: a real httpd and a real sshd attacked over a real network, and a pflog file that grows.
func TestLive(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real servers")
	}
	n := newNetwork(t)
	testkit.Tool(t, "curl")
	errorLog, authLog := apache(t, n, modernLog), sshd(t, n)
	g := build(t)
	g.run(fmt.Sprintf(`[defaults]
maxretry = 5
ladder = ["6s", "1h"]
[portscan]
ban = "6s"
[jail.sshd]
logs = [%q]
[jail.httpd-auth]
logs = [%q]
[jail.httpd-noscript]
enabled = false
[jail.httpd-overflows]
enabled = false
[jail.httpd-probes]
enabled = false
`, authLog, errorLog))

	t.Run("httpd", func(t *testing.T) {
		for range 5 {
			if got := request(n, attacker(0), "/priv/", "bob:wrong"); got != 401 {
				t.Fatalf("status %d, want 401", got)
			}
		}
		took := testkit.Within(t, time.Second, "the guesser is in the table", func() bool { return g.table("banned")[attacker(0)] })
		t.Logf("in the table %v after the last answer", took)
	})
	t.Run("sshd", func(t *testing.T) {
		for range 5 {
			guess(t, n, attacker(1), "root")
		}
		testkit.Within(t, time.Second, "the guesser is in the table", func() bool { return g.table("banned")[attacker(1)] })
	})
	t.Run("scan", func(t *testing.T) {
		g.scan(attacker(2), 21, 22, 23, 25, 80, 110, 143, 443)
		testkit.Within(t, 2*time.Second, "the scanner is a suspect", func() bool { return g.table("suspects")[attacker(2)] })
	})
	t.Run("half and half", func(t *testing.T) {
		g.scan(attacker(3), 1001, 1002, 1003, 1004)
		for range 3 {
			guess(t, n, attacker(3), "admin")
		}
		testkit.Within(t, 2*time.Second, "the sum of both is a ban", func() bool { return g.table("suspects")[attacker(3)] })
		b := g.bans()[attacker(3)]
		if b.Table != "suspects" || b.Proven || !strings.Contains(b.Reason, "portscan") || !strings.Contains(b.Reason, "sshd") {
			t.Errorf("the ban does not say what it rests on: %+v", b)
		}
	})
	t.Run("counters", func(t *testing.T) {
		g.cli("ban", "--for", "1h", "--reason", "test", attacker(4))
		if got := g.packets(attacker(4), 7); got != "pass=0 drop=7" {
			t.Errorf("PF lets a banned address through: %s", got)
		}
		if b := g.bans()[attacker(4)]; b.Packets != 7 {
			t.Errorf("bans shows %d packets, want 7", b.Packets)
		}
		want := fmt.Sprintf(`pfwarden_pf_address_packets_total{action="block",address=%q,direction="in",table="banned"} 7`, attacker(4))
		testkit.Within(t, 2*time.Second, "metrics show the counter", func() bool { return strings.Contains(g.scrape(), want) })
		if s := g.cli("status"); !strings.Contains(s, "banned") {
			t.Errorf("status:\n%s", s)
		}
	})
	t.Run("expiry", func(t *testing.T) {
		testkit.Within(t, 12*time.Second, "bans of 6 s end", func() bool { return !g.table("banned")[attacker(0)] && !g.table("suspects")[attacker(2)] })
	})
	t.Run("unban", func(t *testing.T) {
		g.cli("unban", attacker(4))
		if g.table("banned")[attacker(4)] {
			t.Error("still in the table behind unban")
		}
	})
}
