package livetest

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestNmap lets a real nmap scan a host in network namespaces of the test's own, captures it with tcpdump and wraps it as if PF had blocked it: the
// scanner is a suspect whatever the technique; a decoy with which our side has a connection is not, and a UDP scan is only told of. With
// PFWARDEN_FULL=1 the slow scan takes nmap's -T1, 15 seconds a port, else one second.
func TestNmap(t *testing.T) {
	t.Parallel()
	nmap, tcpdump := testkit.Tool(t, "nmap"), testkit.Tool(t, "tcpdump")
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	n := newNetwork(t)
	file := filepath.Join(t.TempDir(), "scan.pcap")
	dump, _ := start(t, "tcpdump", nil, in(n.server, tcpdump, "-i", "em0", "-Q", "in", "-U", "-w", file, "-s", "0", "ip and dst host "+serverAddress)...)
	testkit.Within(t, 10*time.Second, "tcpdump captures", func() bool { info, err := os.Stat(file); return err == nil && info.Size() >= 24 })

	slow := []string{"-sS", "--scan-delay", "1s"}
	if os.Getenv("PFWARDEN_FULL") != "" {
		slow = []string{"-sS", "-T1"}
	}
	friend, stranger := attacker(5), attacker(6)
	scans := []struct {
		name  string
		from  string
		args  []string
		table string
	}{
		{"connect", attacker(0), []string{"-sT", "-F"}, "suspects"}, // a connect scan has the first address: it cannot choose
		{"SYN", attacker(1), []string{"-sS", "-F"}, "suspects"},
		{"NULL", attacker(2), []string{"-sN", "-p1-40"}, "suspects"},
		{"Xmas", attacker(3), []string{"-sX", "-p1-40"}, "suspects"},
		{"slow", attacker(4), append(slow, "-p22,23,25,80,110,443,445,993,3389"), "suspects"},
		{"UDP", attacker(7), []string{"-sU", "-F", "--max-retries", "0", "--host-timeout", "20s"}, ""},
		{"decoys", "198.51.100.60", []string{"-sS", "-F", "-D", "ME," + friend + "," + stranger}, "suspects"},
	}
	command(t, "ip", "-n", n.outside, "addr", "add", "198.51.100.60/24", "dev", "out0")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for _, s := range scans {
		args := append([]string{nmap, "-n", "-Pn", "--send-ip", "-e", "out0"}, s.args...)
		if s.name != "connect" {
			args = append(args, "-S", s.from)
		}
		running.Go(func() {
			out, err := exec.CommandContext(ctx, "ip", in(n.outside, append(args, serverAddress)...)[1:]...).CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("Nmap done")) {
				t.Errorf("nmap %s: %v\n%s", s.name, err, out)
			}
		})
	}
	running.Wait()
	testkit.Must(t, dump.Process.Signal(os.Interrupt))
	_, _ = dump.Process.Wait()
	list := frames(t, file)
	if len(list) == 0 {
		t.Fatal("nothing was captured")
	}
	// Our side had spoken to its friend an hour before.
	ours := frame{at: list[0].at.Add(-time.Hour), ip: synPacket(serverAddress, friend)}
	pflog := wrap(t, append([]frame{ours}, list...), func(f *frame) bool { return f.at != ours.at })
	banned, r := verdicts(t, pflog, "")
	t.Logf("%d packets", len(list))
	for _, s := range scans {
		if got := banned[netip.MustParseAddr(s.from)]; got != s.table {
			t.Errorf("%s: %s is in %q, expected %q", s.name, s.from, got, s.table)
		}
	}
	if table, yes := banned[netip.MustParseAddr(friend)]; yes {
		t.Errorf("the decoy that is our friend is in %s", table)
	}
	if r.Gated == 0 {
		t.Error("no gate spoke for the friend")
	}
	labelled := false
	for _, k := range r.Rankings {
		for _, row := range k.Rows {
			labelled = labelled || k.Title == "Evidence" && row.Name == "udp_probe" && row.Count >= 50
		}
	}
	if !labelled {
		t.Errorf("the UDP scan is not told of: %+v", r.Rankings)
	}
}
