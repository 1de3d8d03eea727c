package livetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/home"
	"pfwarden/internal/testkit/programs"
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
	log            string // what the daemon printed
	pflog          string
	pf             string   // more of the configuration's section [pf]
	store          string   // the ledger's file; "" = pfwarden.db beside the rest
	head           string   // more of the configuration, before its first section
	more           []string // arguments of run
	namespace      string   // that the daemon runs in; "" = this one
	folder         string   // of fail2ban
	sshd           int      // processes of sshd that were logged
}

// built are the programs that gateways are made of.
type built struct{ dir string }

// build makes them, once for all gateways of a test.
func build(t *testing.T) built {
	t.Helper()
	return built{programs.Build(t, "./cmd/pfwarden", "./pfctl/pftest/pfctl", "./pfctl/pftest/pfpkt")}
}

// buildUnlessShort builds them for a test that takes longer than a short run may.
func buildUnlessShort(t *testing.T) built {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the daemon")
	}
	return build(t)
}

// needsRoot skips the test where it does not run as root; why says what for.
func needsRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: " + why)
	}
}

// callUs is a main ruleset that calls our anchor.
const callUs = "anchor \"pfwarden\"\npass all\n"

// gateway makes a gateway over the PF of a system with a main ruleset.
func (b built) gateway(t *testing.T, profile, main string) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{t: t, dir: dir, bin: filepath.Join(b.dir, "pfwarden"), pfctl: filepath.Join(b.dir, "pfctl"), pfpkt: filepath.Join(b.dir, "pfpkt"),
		config: filepath.Join(dir, "pfwarden.toml"), socket: filepath.Join(dir, "s"), pflog: filepath.Join(dir, "pflog"), metrics: testkit.FreeAddress(t), pf: `reconcile = "1s"`}
	state := filepath.Join(dir, "pf")
	testkit.Must(t, os.Mkdir(state, 0o700))
	g.env = []string{"PFTEST_STATE=" + state, "PFTEST_PROFILE=" + profile}
	g.standIn("-e")
	g.load(main)
	return g
}

// authLog makes a log that grows and a jail that reads it: the last section of a configuration, to which options can be added.
func (g *gateway) authLog() (log *os.File, jail string) {
	g.t.Helper()
	path := filepath.Join(g.dir, "authlog")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	testkit.Must(g.t, err)
	g.t.Cleanup(func() { _ = log.Close() })
	return log, fmt.Sprintf("[jail.sshd]\nlogs = [%q]\n", path)
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

// packet runs packets, told as pfpkt takes them, through the stand-in's PF and returns pfpkt's answer.
func (g *gateway) packet(args string) string {
	g.t.Helper()
	cmd := exec.Command(g.pfpkt, strings.Fields(args)...)
	cmd.Env = append(os.Environ(), g.env...)
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatalf("pfpkt %s: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// packets runs SYNs to the server's port 22.
func (g *gateway) packets(from string, count int) string {
	g.t.Helper()
	return g.packetsTo(22, from, count)
}

// packetsTo runs SYNs to a port of the server.
func (g *gateway) packetsTo(port int, from string, count int) string {
	g.t.Helper()
	return g.packet(fmt.Sprintf("in 4 %s %s 6 40000 %d 60 2 %d", from, serverAddress, port, count))
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
	config = g.head + fmt.Sprintf("[pf]\npfctl = %q\n%s\n", g.pfctl, g.pf) + home.Home{Dir: g.dir, Listen: g.metrics, Store: g.store}.TOML() + config
	testkit.Must(g.t, os.WriteFile(g.config, []byte(config), 0o600))
}

// again starts the daemon with the configuration that it had.
func (g *gateway) again() {
	g.t.Helper()
	args := append([]string{g.bin, "run", "-f", g.config}, g.more...)
	if g.namespace != "" {
		args = in(g.namespace, args...)
	}
	g.daemon, g.log = start(g.t, "pfwarden", g.env, args...)
	testkit.Within(g.t, 10*time.Second, "the daemon answers", func() bool {
		return exec.Command(g.bin, "--socket", g.socket, "status").Run() == nil
	})
}

// kill ends the daemon as a crash would.
func (g *gateway) kill() {
	g.t.Helper()
	programs.Kill(g.t, g.daemon.Process)
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

// faults sets the stand-in's faults while the daemon runs.
func (g *gateway) faults(text string) {
	g.t.Helper()
	testkit.Must(g.t, os.WriteFile(filepath.Join(g.dir, "pf", "faults"), []byte(text), 0o600))
}

// stop ends the daemon as an administrator does.
func (g *gateway) stop() {
	g.t.Helper()
	testkit.Must(g.t, g.daemon.Process.Signal(syscall.SIGTERM))
	_, _ = g.daemon.Process.Wait()
}

// inBothShapes runs a test in one process and, as root, in two. The option goes to the daemon.
func inBothShapes(t *testing.T, test func(t *testing.T, option string)) {
	t.Helper()
	for _, option := range []string{"--single-process", "--user=nobody"} {
		if option == "--user=nobody" && os.Getuid() != 0 {
			continue
		}
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			test(t, option)
		})
	}
}
