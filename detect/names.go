package detect

// Names below are label values of metrics and keys of JSON: each set is bounded and stable.

var kindNames = [...]string{
	Failure: "failure", Probe: "probe", Stealth: "stealth", UnknownFlags: "unknown_flags", UDPProbe: "udp_probe", Sweep: "sweep",
	Backscatter: "backscatter", Late: "late", Reflection: "reflection", PeerToPeer: "peer_to_peer", Forged: "forged", Knock: "knock", Other: "other",
}

// NumKinds is the number of kinds of observations.
const NumKinds = len(kindNames)

// String returns the kind's stable name, as used in metric labels.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

var markNames = [...]string{NoMark: "", Mirai: "mirai", Masscan: "masscan"}

// String returns the mark's stable name; "" for NoMark.
func (m Mark) String() string {
	if int(m) < len(markNames) {
		return markNames[m]
	}
	return "invalid"
}

var noticeNames = [...]string{Banned: "banned", Unbanned: "unbanned", Forgiven: "forgiven", Login: "login", State: "state", Contact: "contact"}

const numNotices = len(noticeNames)

// String returns the notice's stable name, as used in metric labels.
func (k NoticeKind) String() string {
	if int(k) < len(noticeNames) {
		return noticeNames[k]
	}
	return "invalid"
}

// Names of the gates (GateAnswer.Gate): the whole set.
const (
	GateNever   = "never"         // never-list
	GateOwn     = "own"           // one of our own addresses
	GateBogon   = "bogon"         // an address that nobody on the Internet has
	GateState   = "state"         // PF holds a state that our side opened
	GateContact = "contact"       // our side spoke to it in the last 24 hours
	GateMember  = "prefix_member" // a wider prefix holds a never-listed or contacted address
)

// gates lists the gates in the order in which they are asked.
func gates() []string {
	return []string{GateNever, GateOwn, GateBogon, GateState, GateContact, GateMember}
}
