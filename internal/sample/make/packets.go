package main

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

// scannedPorts are ports that port scanners ask for first.
func scannedPorts() []uint16 {
	ports := []uint16{21, 22, 23, 25, 53, 80, 110, 111, 113, 135, 139, 143, 199, 256, 443, 445, 465, 514, 548, 554, 587, 631, 636, 873, 990, 993, 995,
		1025, 1080, 1433, 1521, 1720, 1723, 2049, 2082, 2121, 2375, 3000, 3128, 3306, 3389, 4444, 5000, 5060, 5432, 5555, 5631, 5900, 5985, 6000, 6379,
		6667, 7001, 7547, 8000, 8008, 8080, 8081, 8291, 8443, 8888, 9000, 9090, 9100, 9200, 9999, 10000, 11211, 27017, 32768, 37215, 49152, 50000, 52869}
	for p := uint16(1100); p < 1130; p++ {
		ports = append(ports, p)
	}
	return ports
}

// scans are the sources that look for open doors.
func (d *day) scans() {
	d.verticalScan()
	d.horizontalScan()
	d.slowScan()
	d.stealthScan()
	d.scan6()
	d.halfAndHalf()
}

// verticalScan asks one host for a hundred ports in half a minute, as nmap -sS does.
func (d *day) verticalScan() {
	from, at := address("198.51.100.23"), d.at(2, 13, 5)
	ports := scannedPorts()
	d.random.Shuffle(len(ports), func(i, j int) { ports[i], ports[j] = ports[j], ports[i] })
	for _, port := range ports {
		at = at.Add(d.within(40*time.Millisecond, 500*time.Millisecond))
		d.syn(at, from, host(10), 43817, port, nil)
		if d.random.IntN(3) == 0 { // asked a second time, since nothing came back
			d.syn(at.Add(1100*time.Millisecond), from, host(10), 43818, port, nil)
		}
	}
	d.judge(from.String(), "vertical", true)
}

// horizontalScan asks every host for telnet, three times a day; the sequence number is the destination, as Mirai has it.
func (d *day) horizontalScan() {
	from := address("198.51.100.77")
	for _, round := range []struct {
		at   time.Time
		port uint16
	}{{d.at(5, 40, 0), 23}, {d.at(11, 31, 0), 2323}, {d.at(17, 55, 0), 23}} {
		at := round.at
		for _, n := range d.random.Perm(62) {
			at = at.Add(d.within(100*time.Millisecond, 4*time.Second))
			to := host(byte(n + 1))
			b := to.As4()
			d.syn(at, from, to, d.ephemeral(), round.port, func(_ *pflogwrite.IP, t *pflogwrite.TCP) { t.Seq = binary.BigEndian.Uint32(b[:]) })
		}
	}
	d.judge(from.String(), "horizontal", true)
}

// slowScan asks for one port every forty minutes or so, all day.
func (d *day) slowScan() {
	from, at := address("192.0.2.200"), d.at(0, 21, 0)
	ports := []uint16{22, 3389, 5900, 445, 8080, 1433, 6379, 9200}
	for i := 0; at.Before(d.at(23, 30, 0)); i++ {
		d.syn(at, from, host(byte(2+i*5%60)), d.ephemeral(), ports[i%len(ports)], nil)
		at = at.Add(d.within(25*time.Minute, 55*time.Minute))
	}
	d.judge(from.String(), "slow", true)
}

// stealthScan sends FIN, PSH and URG at once, as nmap -sX does.
func (d *day) stealthScan() {
	from, at := address("192.0.2.33"), d.at(13, 2, 30)
	for _, port := range scannedPorts()[:32] {
		at = at.Add(d.within(200*time.Millisecond, 2*time.Second))
		d.syn(at, from, host(12), 51515, port, func(_ *pflogwrite.IP, t *pflogwrite.TCP) {
			t.Flags, t.Options = capture.FlagFIN|capture.FlagPSH|capture.FlagURG, nil
		})
	}
	d.judge(from.String(), "stealth", true)
}

// scan6 is an IPv6 scanner that takes a new address of its /64 for every packet.
func (d *day) scan6() {
	at := d.at(16, 20, 0)
	base := address("2001:db8:bad:1::").As16()
	for i := range 40 {
		binary.BigEndian.PutUint64(base[8:], d.random.Uint64())
		from := netip.AddrFrom16(base)
		at = at.Add(d.within(500*time.Millisecond, 20*time.Second))
		d.syn(at, from, host6(byte(1+i%9)), d.ephemeral(), []uint16{22, 80, 443, 8080, 3389}[i%5], nil)
		if i == 0 {
			d.judge(from.String(), "vertical6", true) // a ban of the /64 holds it
		}
	}
}

// halfAndHalf knocks on four doors; its three failed log-ins are in logs.go. Neither is enough alone.
func (d *day) halfAndHalf() {
	at := d.at(10, 5, 0)
	for i, port := range []uint16{21, 8080, 3306, 8443} {
		d.syn(at, halfScanner(), host(byte(10+i)), d.ephemeral(), port, nil)
		at = at.Add(d.within(20*time.Second, time.Minute))
	}
	d.judge(halfScanner().String(), "half_and_half", true)
}

func halfScanner() netip.Addr { return address("192.0.2.66") }

// innocents send packets that look bad to simple rules. None of them may be banned.
func (d *day) innocents() {
	d.backscatter()
	d.latePackets()
	d.framedFriend()
	d.reflection()
	d.pinger()
	d.retrier()
	d.ownHosts()
}

// backscatter: a web server under a flood of forged SYNs answers to addresses that never asked, among them ours.
func (d *day) backscatter() {
	for _, victim := range []struct {
		from  netip.Addr
		port  uint16
		flags uint8
		at    time.Time
		n     int
	}{
		{address("192.0.2.80"), 443, capture.FlagSYN | capture.FlagACK, d.at(7, 10, 0), 160},
		{address("192.0.2.81"), 80, capture.FlagRST | capture.FlagACK, d.at(19, 44, 0), 90},
	} {
		at := victim.at
		for range victim.n {
			at = at.Add(d.within(50*time.Millisecond, 9*time.Second))
			d.syn(at, victim.from, host(byte(d.random.IntN(256))), victim.port, uint16(1024+d.random.IntN(64000)), func(_ *pflogwrite.IP, t *pflogwrite.TCP) {
				t.Flags, t.Ack = victim.flags, d.random.Uint32()
			})
		}
		d.judge(victim.from.String(), "backscatter", false)
	}
}

// latePackets: servers that our side spoke to go on answering when PF has forgotten the connection.
func (d *day) latePackets() {
	for i, server := range []string{"198.51.100.181", "198.51.100.182", "2001:db8:cafe::443"} {
		from := address(server)
		client := host(20)
		if from.Is6() {
			client = host6(0x20)
		}
		for j := range 6 {
			at := d.at(8+3*i, 7*j, 11)
			sport := d.ephemeral()
			d.pass(at, rulePassOut, capture.Out, client, from, sport, 443)
			for k := range 4 { // the end of the connection, repeated with growing pauses
				d.syn(at.Add(10*time.Minute+time.Duration(1<<k)*time.Second), from, client, 443, sport, func(_ *pflogwrite.IP, t *pflogwrite.TCP) {
					t.Flags, t.Ack, t.Options = capture.FlagFIN|capture.FlagACK, d.random.Uint32(), nil
					if k == 3 {
						t.Flags = capture.FlagRST
					}
				})
			}
		}
		d.judge(server, "late_tcp", false)
	}
	resolver := address("192.0.2.53")
	for i := range 30 {
		d.udp(d.at(i%24, 3*i%60, 20), resolver, host(20), 53, d.ephemeral(), make([]byte, 90))
	}
	d.judge(resolver.String(), "late_udp", false)
}

// framedFriend: somebody writes the address of a server we use into the packets of a scan.
func (d *day) framedFriend() {
	friend := address("198.51.100.180")
	for i := range 5 {
		d.pass(d.at(9, 10*i, 3), rulePassOut, capture.Out, host(21), friend, d.ephemeral(), 443)
	}
	at := d.at(14, 0, 0)
	for _, port := range scannedPorts()[:25] {
		at = at.Add(d.within(100*time.Millisecond, time.Second))
		d.syn(at, friend, host(10), d.ephemeral(), port, nil)
	}
	d.judge(friend.String(), "framed", false)
}

// reflection: somebody asks our side in the name of his victim, so that the answers hit the victim.
func (d *day) reflection() {
	victim, at := address("192.0.2.99"), d.at(20, 30, 0)
	for i := range 90 {
		at = at.Add(d.within(10*time.Millisecond, 3*time.Second))
		d.udp(at, victim, host(byte(1+i%30)), d.ephemeral(), []uint16{123, 53, 1900, 389}[i/25%4], make([]byte, 48))
	}
	d.judge(victim.String(), "reflection", false)
}

// pinger is somebody's monitoring.
func (d *day) pinger() {
	from := address("192.0.2.140")
	for i := range 96 {
		d.echo(d.at(i/4, i%4*15, 0), from, host(byte(10+i%3)), 0x1a2b, uint16(i))
	}
	from6 := address("2001:db8:feed::7")
	for i := range 24 {
		d.echo(d.at(i, 30, 0), from6, host6(1), 0x77, uint16(i))
	}
	d.judge(from.String(), "monitoring", false)
	d.judge(from6.String(), "monitoring", false)
}

// retrier is a client that keeps asking one host for a service that moved away.
func (d *day) retrier() {
	from := address("198.51.100.151")
	for i := range 40 {
		at := d.at(6+i/4, i%4*13, 0)
		sport := d.ephemeral()
		for k := range 3 { // the kernel repeats a SYN after 1 and 3 seconds
			d.syn(at.Add([]time.Duration{0, time.Second, 3 * time.Second}[k]), from, host(14), sport, 993, nil)
		}
	}
	d.judge(from.String(), "retrier", false)
}

// ownHosts run into PF's rules from the inside, and into PF's own checks.
func (d *day) ownHosts() {
	for i := range 12 {
		from, to := host(200), address("198.51.100.5")
		sport := d.ephemeral()
		ip := pflogwrite.IP{Source: from, Destination: to, TTL: 63, ID: uint16(i)}
		d.log(d.at(9+i/2, i*5, 7), ruleBlockOut, capture.ActionBlock, capture.Out, flow(from, to, sport, 25),
			pflogwrite.TCPPacket(ip, pflogwrite.TCP{SourcePort: sport, DestinationPort: 25, Seq: d.random.Uint32(), Flags: capture.FlagSYN}))
	}
	const reasonStateMismatch = 10
	client := address("198.51.100.152")
	for i := range 8 {
		d.syn(d.at(15, i*6, 40), client, host(11), 40000+uint16(i), uint16(2000+i), nil)
		d.packets[len(d.packets)-1].record.Reason = reasonStateMismatch
	}
	d.judge(client.String(), "state_mismatch", false)
}

// noise is what every address of the Internet gets: many sources with a packet or two each.
func (d *day) noise() {
	taken := []byte{5, 23, 66, 77, 150, 151, 152, 180, 181, 182, 201, 202}
	ports := []uint16{22, 22, 23, 23, 23, 80, 443, 445, 445, 3389, 3389, 5900, 8080, 1433, 6379, 5555, 8443, 2323}
	for _, n := range d.random.Perm(254) {
		last := byte(n + 1)
		if slices.Contains(taken, last) {
			continue
		}
		from := netip.AddrFrom4([4]byte{198, 51, 100, last})
		for range 1 + d.random.IntN(2) {
			d.syn(d.at(d.random.IntN(24), d.random.IntN(60), d.random.IntN(60)), from, host(byte(1+d.random.IntN(62))), d.ephemeral(),
				ports[d.random.IntN(len(ports))], nil)
		}
		switch d.random.IntN(5) {
		case 0:
			d.udp(d.at(d.random.IntN(24), d.random.IntN(60), 0), from, host(30), d.ephemeral(), 51413, make([]byte, 30))
		case 1:
			d.udp(d.at(d.random.IntN(24), d.random.IntN(60), 0), from, host(byte(1+d.random.IntN(62))), 5060, 5060, []byte("OPTIONS sip:100@203.0.113.1 SIP/2.0"))
		}
		d.judge(from.String(), "noise", false)
	}
}
