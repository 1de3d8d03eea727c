package livetest

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestCaptures: real traffic, every packet of it wrapped as if PF had blocked it on its way in, the replies too: browsing, a flood of SYNs on one
// port and a single probe ban nobody; guessed passwords do, once the server's log is there, which is made from what the capture shows of the
// server's answers.
func TestCaptures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file   string
		log    func(list []frame) string
		banned map[string]string // with the log
	}{
		{file: "suricata_synflood.pcap"},
		{file: "zeek_benign_http_methods.pcap"},
		{file: "zeek_benign_wikipedia.pcap"},
		{file: "zeek_vnc_scanner.pcap"},
		{file: "zeek_ftp_bruteforce.pcap", log: ftpdLog, banned: map[string]string{"192.168.56.1": "banned"}},
		{file: "zeek_sshguess.pcap", log: sshdLog, banned: map[string]string{"192.168.56.1": "banned"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			list := frames(t, testkit.Recorded(t, "data/captures/"+tt.file))
			pflog := wrap(t, list, func(*frame) bool { return true })
			if banned, r := verdicts(t, pflog, ""); len(banned) > 0 || int(r.Packets) != len(list) || len(list) == 0 {
				t.Errorf("by packets alone: %v; %d of %d packets were read", banned, r.Packets, len(list))
			}
			if tt.log == nil {
				return
			}
			log := tt.log(list)
			banned, _ := verdicts(t, pflog, log)
			got := map[string]string{}
			for a, table := range banned {
				got[a.String()] = table
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.banned) {
				t.Errorf("with the server's log: %v, expected %v; the log:\n%s", got, tt.banned, log)
			}
		})
	}
}

// ftpdLog is what ftpd(8) writes for each log-in that the capture shows it to refuse.
func ftpdLog(list []frame) string {
	var b strings.Builder
	for i := range list {
		if sport, _, payload, ok := list[i].tcpPayload(); ok && sport == 21 && bytes.HasPrefix(payload, []byte("530 ")) {
			fmt.Fprintf(&b, "%s redmint ftpd[4711]: FTP LOGIN FAILED FROM %s, bro\n", list[i].at.Format(time.RFC3339), list[i].dst)
		}
	}
	return b.String()
}

// sshdLog is what sshd(8) writes for each connection of the guesser: one password was wrong in each, says the capture's index.
func sshdLog(list []frame) string {
	var b strings.Builder
	seen := map[netip.AddrPort]bool{}
	for i := range list {
		_, dport, _, ok := list[i].tcpPayload()
		if !ok || dport != 22 || list[i].ip[33]&3 != 1 { // the client's FIN
			continue
		}
		sport, _, _, _ := list[i].tcpPayload()
		if from := netip.AddrPortFrom(list[i].source, sport); !seen[from] {
			seen[from] = true
			fmt.Fprintf(&b, "%s deb sshd[4711]: Failed password for root from %s port %d ssh2\n", list[i].at.Format(time.RFC3339), from.Addr(), sport)
		}
	}
	return b.String()
}
