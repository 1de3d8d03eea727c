package match_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/match"
	"pfwarden/capture/pflog/pflogwrite"
)

// randomFile returns a pcap file of IPv4 records drawn from a small world, so that expressions about it match often.
func randomFile(t *testing.T, random *rand.Rand, n int) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := pflogwrite.NewWriter(&file, pflogwrite.Format{})
	if err != nil {
		t.Fatal(err)
	}
	addr := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(random.IntN(2)), byte(random.IntN(2)), byte(random.IntN(4))})
	}
	port := func() uint16 { return uint16(20 + random.IntN(6)) }
	for i := range n {
		ip := pflogwrite.IP{Source: addr(), Destination: addr(), ID: uint16(i)}
		var packet []byte
		switch random.IntN(4) {
		case 0, 1:
			packet = pflogwrite.TCPPacket(ip, pflogwrite.TCP{SourcePort: port(), DestinationPort: port(), Flags: uint8(random.IntN(64))})
		case 2:
			packet = pflogwrite.UDPPacket(ip, port(), port(), nil)
		default:
			packet = pflogwrite.ICMPPacket(ip, 8, 0, 0, nil)
		}
		record := pflogwrite.Record{Dialect: []capture.Dialect{61, 69, 100}[random.IntN(3)], Action: capture.Action(random.IntN(2)), Reason: capture.Reason(random.IntN(4)),
			Direction: capture.Direction(1 + random.IntN(2)), Interface: []string{"em0", "bge1"}[random.IntN(2)], Anchor: []string{"", "relayd"}[random.IntN(2)],
			Rule: uint32(random.IntN(3)), Subrule: uint32(random.IntN(3)), UID: pflogwrite.NoUID, PID: pflogwrite.NoPID, Packet: packet}
		if err := w.Write(time.Unix(1700000000, int64(i)), &record); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func decoded(t *testing.T, file []byte) []capture.Packet {
	t.Helper()
	r, err := pflog.NewReader(bytes.NewReader(file), "test", pflog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []capture.Packet
	for {
		var p capture.Packet
		if err := r.Next(&p); err != nil {
			return all
		}
		all = append(all, p)
	}
}

// randomPrimitive returns a primitive and what it means, written down a second time and plainly.
func randomPrimitive(random *rand.Rand) (string, func(p capture.Packet) bool) {
	address := netip.AddrFrom4([4]byte{10, byte(random.IntN(2)), byte(random.IntN(2)), byte(random.IntN(4))})
	prefix, _ := address.Prefix([]int{8, 16, 24, 30}[random.IntN(4)])
	n := uint16(20 + random.IntN(6))
	ports := func(p capture.Packet) bool { return p.Protocol == 6 || p.Protocol == 17 }
	switch random.IntN(18) {
	case 0:
		return "tcp", func(p capture.Packet) bool { return p.Protocol == 6 }
	case 1:
		return "udp", func(p capture.Packet) bool { return p.Protocol == 17 }
	case 2:
		return "icmp", func(p capture.Packet) bool { return p.Protocol == 1 }
	case 3:
		return fmt.Sprintf("host %v", address), func(p capture.Packet) bool { return p.Source == address || p.Destination == address }
	case 4:
		return fmt.Sprintf("src host %v", address), func(p capture.Packet) bool { return p.Source == address }
	case 5:
		return fmt.Sprintf("dst net %v", prefix), func(p capture.Packet) bool { return prefix.Contains(p.Destination) }
	case 6:
		return fmt.Sprintf("net %v", prefix), func(p capture.Packet) bool { return prefix.Contains(p.Destination) || prefix.Contains(p.Source) }
	case 7:
		return fmt.Sprintf("port %d", n), func(p capture.Packet) bool { return ports(p) && (p.SourcePort == n || p.DestinationPort == n) }
	case 8:
		return fmt.Sprintf("tcp dst port %d", n), func(p capture.Packet) bool { return p.Protocol == 6 && p.DestinationPort == n }
	case 9:
		return fmt.Sprintf("src portrange 20-%d", n), func(p capture.Packet) bool { return ports(p) && p.SourcePort >= 20 && p.SourcePort <= n }
	case 10:
		return "inbound", func(p capture.Packet) bool { return p.Direction == 1 }
	case 11:
		return "outbound", func(p capture.Packet) bool { return p.Direction == 2 }
	case 12:
		return "on bge1", func(p capture.Packet) bool { return p.Interface == "bge1" }
	case 13:
		return "action block", func(p capture.Packet) bool { return p.Action == 1 }
	case 14:
		return "reason short", func(p capture.Packet) bool { return p.Reason == 3 }
	case 15:
		return "rnr 1", func(p capture.Packet) bool { return p.Rule == 1 }
	case 16:
		return "ruleset relayd", func(p capture.Packet) bool { return p.Anchor == "relayd" }
	default:
		return "src and dst net 10.0.0.0/16", func(p capture.Packet) bool {
			return p.Source.As4()[1] == 0 && p.Destination.As4()[1] == 0
		}
	}
}

// randomExpression returns an expression and its meaning.
func randomExpression(random *rand.Rand, depth int) (string, func(p capture.Packet) bool) {
	switch choice := random.IntN(6); {
	case depth == 0 || choice == 0:
		return randomPrimitive(random)
	case choice == 1:
		text, f := randomExpression(random, depth-1)
		return "not (" + text + ")", func(p capture.Packet) bool { return !f(p) }
	default: // a chain from left to right without parentheses around the whole
		text, f := randomPrimitive(random)
		for range 1 + random.IntN(3) {
			next, g := randomExpression(random, depth-1)
			next = "(" + next + ")"
			left := f
			if random.IntN(2) == 0 {
				text += " and " + next
				f = func(p capture.Packet) bool { return left(p) && g(p) }
			} else {
				text += " or " + next
				f = func(p capture.Packet) bool { return left(p) || g(p) }
			}
		}
		return text, f
	}
}

// TestNaive compares random expressions with a plain evaluation.
func TestNaive(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	all := decoded(t, randomFile(t, random, 300))
	for range 2000 {
		text, naive := randomExpression(random, 3)
		filter, err := match.Compile(text, pflog.Auto)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if filter(&all[i]) != naive(all[i]) {
				t.Fatalf("%s\nis %t for %+v", text, filter(&all[i]), all[i])
			}
		}
	}
}

// TestTCPDump compares with libpcap's own evaluation, on IPv4, where it is right.
func TestTCPDump(t *testing.T) {
	t.Parallel()
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	random := rand.New(rand.NewPCG(3, 4))
	file := randomFile(t, random, 500)
	all := decoded(t, file)
	path := filepath.Join(t.TempDir(), "random.pcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	counted := regexp.MustCompile(`(\d+) packets?`)
	matched := 0
	for range 150 {
		text, _ := randomExpression(random, 2)
		cmd := exec.Command(tcpdump, "-nr", path, "--count", text)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil && strings.Contains(complaint.String(), "rejects all packets") {
			out = []byte("0 packets")
		} else if err != nil {
			t.Fatalf("tcpdump %s: %v: %s", text, err, &complaint)
		}
		filter, err := match.Compile(text, pflog.Auto)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for i := range all {
			if filter(&all[i]) {
				n++
			}
		}
		found := counted.FindSubmatch(out)
		if found == nil || string(found[1]) != fmt.Sprint(n) {
			t.Errorf("%s: %d packets, tcpdump says %s", text, n, out)
		}
		matched += n
	}
	if matched == 0 {
		t.Error("no expression matched anything")
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{"", "tcp", "not (tcp or udp) and host 10.0.0.1", "src or dst net 10/8", "port 22 or ssh or 1", "nat src portrange 1-2", `on "x y"`,
		"flags S/SA", "rnr def", "action \"unknown(12)\"", "net 1 mask 255.0.0.0", "!(", "src or", "uid none", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		filter, err := match.Compile(expression, pflog.Auto)
		if err != nil {
			if message := err.Error(); strings.Count(message, "\n") != 2 {
				t.Errorf("error of %d lines: %s", strings.Count(message, "\n")+1, message)
			}
			return
		}
		inverse, err := match.Compile("not ("+expression+")", pflog.Auto)
		if err != nil && strings.TrimSpace(expression) != "" && !strings.Contains(err.Error(), "too deep") {
			t.Fatalf("its negation fails: %v", err)
		}
		for _, p := range packets {
			if yes := filter(&p); err == nil && inverse(&p) == yes {
				t.Errorf("both it and its negation are %t", yes)
			}
		}
	})
}
