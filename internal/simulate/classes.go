package simulate

// Class is one kind of sender.
type Class struct {
	Name  string
	Want  bool // a good detector bans them
	Usual bool // part of the traffic if Options.Classes names nothing
	About string

	index  int
	perDay int  // senders at scale 1
	daily  bool // as many come anew every day
	group  int  // senders that belong together
	attack func(o *Options) int
	make   func(w *world, n int)
}

// Classes lists all classes: the wanted ones, those that must not be banned, the attacks.
func Classes() []Class {
	list := []Class{
		{Name: "fast_vertical", Want: true, perDay: 50, daily: true, make: fastVertical, About: "300 ports of one address within minutes"},
		{Name: "slow_vertical", Want: true, perDay: 50, daily: true, make: slowVertical, About: "one port of one address in 15 s to 10 min"},
		{Name: "horizontal", Want: true, perDay: 200, daily: true, make: horizontal, About: "one or two ports of every address"},
		{Name: "bots", Want: true, perDay: 2000, make: bots, About: "8 to 30 probes a day, of a worm's few ports"},
		{Name: "spread24", Want: true, perDay: 640, daily: true, group: spreadMembers, make: spread24, About: "64 members of a /24, three probes each"},
		{Name: "ipv6_host", Want: true, perDay: 30, daily: true, make: ipv6Host, About: "a new address of one /64 for every probe"},
		{Name: "ipv6_spread", Want: true, perDay: 160, daily: true, group: spreadMembers6, make: ipv6Spread, About: "32 networks /64 of one /48, a few probes each"},
		{Name: "brute_fast", Want: true, perDay: 60, daily: true, make: bruteFast, About: "a password every few seconds, by sshd's and httpd's log"},
		{Name: "brute_slow", Want: true, perDay: 40, daily: true, make: bruteSlow, About: "a password every one to two minutes"},
		{Name: "brute_distributed", Want: true, perDay: 120, daily: true, group: guessers, make: bruteDistributed, About: "30 addresses try one user name, 4 passwords each, after looking for other doors"},

		{Name: "backscatter", perDay: 300, daily: true, make: backscatter, About: "answers to packets that somebody forged in our name"},
		{Name: "late_tcp", perDay: 2000, daily: true, make: lateTCP, About: "packets of connections that PF has forgotten"},
		{Name: "late_udp", perDay: 1000, daily: true, make: lateUDP, About: "answers of name servers, clocks, QUIC that come too late"},
		{Name: "framed_contact", perDay: 19, daily: true, make: framedContact, About: "scans forged in the name of whom our side speaks to"},
		{Name: "framed_stranger", perDay: 1, daily: true, make: framedStranger, About: "scans forged in the name of whom our side does not speak to"},
		{Name: "retrier", perDay: 200, daily: true, make: retriers, About: "clients that try one closed port for hours"},
		{Name: "reflection_victim", perDay: 100, daily: true, make: reflectionVictims, About: "requests to amplifiers, forged in the victim's name"},
		{Name: "p2p", perDay: 50000, daily: true, make: peers, About: "a file-sharing crowd that looks for a peer who left"},
		{Name: "shared", perDay: 1000, daily: true, make: shared, About: "carrier-grade NAT: many honest users, now and then a wrong door"},
		{Name: "mistyped", perDay: 100, daily: true, make: mistyped, About: "users who mistype once or thrice and then get in"},
		{Name: "monitoring", perDay: 10, make: monitoring, About: "services that look every five minutes whether we are there"},

		{Name: "one_port_bots", Want: true, perDay: 200, make: onePortBots, About: "8 to 30 probes a day of one port, without any tool's sign: see docs/simulate.md"},
		{Name: "brute_only", Want: true, perDay: 120, daily: true, group: guessers, make: bruteOnly, About: "30 addresses try one user name, 3 passwords each within findtime, and knock nowhere"},

		{Name: "flood", attack: func(o *Options) int { return o.Flood }, make: floods, About: "forged sources of one SYN each"},
		{Name: "evict", attack: func(o *Options) int { return o.Evict }, make: evictors, About: "forged sources of three SYNs each"},
		{Name: "framed_attack", attack: func(o *Options) int { return o.Frame }, make: framedContact, About: "as framed_contact"},
		{Name: "gate_raiser", Want: true, attack: func(o *Options) int { return o.GateRaising }, make: gateRaisers, About: "scanners that dress as victims"},
	}
	for i := range list {
		list[i].index = i
		list[i].Usual = list[i].attack == nil && list[i].Name != "one_port_bots" && list[i].Name != "brute_only"
	}
	return list
}
