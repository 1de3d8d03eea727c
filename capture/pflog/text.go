package pflog

import (
	"net/netip"
	"strconv"
	"time"

	"pfwarden/capture"
)

// AppendText appends the packet as one line in tcpdump's manner, without a line end, its time in zone:
//
//	2023-11-14 22:13:21.123456 rule 7.relayd.3/0(match): pass in on em0: 2001:db8::7.40000 > 2001:db8::5.22: Flags [S], seq 1000, ttl 64, length 60 [nat 192.0.2.1.50000 > 10.0.0.5.2222]
//
// The default rule is "def"; a number without a name is printed as such; "pass!" marks a packet that pf dropped by a check of its
// own although the rule would have passed it. "length" is that of the IP packet. Ids that the record does not hold are left out.
func AppendText(dst []byte, p *capture.Packet, system System, zone *time.Location) []byte {
	dst = appendTime(dst, p.Time.In(zone), p.Nanos, ' ')
	dst = appendRule(dst, p)
	dst = append(dst, "/0("...)
	dst = appendName(dst, ReasonName(p.Dialect, p.Reason, system), uint64(p.Reason))
	dst = append(dst, "): "...)
	dst = appendName(dst, ActionName(p.Dialect, p.Action, system), uint64(p.Action))
	if droppedByPF(p) {
		dst = append(dst, '!')
	}
	if p.Direction != capture.UnknownDirection {
		dst = append(dst, ' ')
		dst = appendName(dst, directionName(p.Direction), uint64(p.Direction))
	}
	dst = append(dst, " on "...)
	dst = appendPlain(dst, p.Interface)
	dst = append(dst, ": "...)
	dst = appendTextFlow(dst, &p.Flow, p.Has&capture.HasPorts != 0)
	dst = append(dst, ": "...)
	dst = appendTransport(dst, p)
	if p.Has&capture.HasTTL != 0 {
		dst = append(dst, ", ttl "...)
		dst = strconv.AppendUint(dst, uint64(p.TTL), 10)
	}
	dst = append(dst, ", length "...)
	dst = strconv.AppendUint(dst, uint64(p.Length), 10)
	if p.Fragment {
		dst = append(dst, " [fragment]"...)
	}
	if p.Truncated {
		dst = append(dst, " [|cut]"...)
	}
	if p.Has&capture.HasTranslated != 0 {
		dst = append(dst, " [nat "...)
		dst = appendTextFlow(dst, &p.Translated, hasPorts(p.Protocol))
		dst = append(dst, ']')
	}
	if p.RuleID != 0 {
		dst = append(dst, " [ridentifier "...)
		dst = strconv.AppendUint(dst, uint64(p.RuleID), 10)
		dst = append(dst, ']')
	}
	if p.Has&capture.HasUID != 0 {
		dst = append(dst, " [uid "...)
		dst = strconv.AppendUint(dst, uint64(p.UID), 10)
		if p.Has&capture.HasPID != 0 {
			dst = append(dst, ", pid "...)
			dst = strconv.AppendUint(dst, uint64(p.PID), 10)
		}
		dst = append(dst, ']')
	}
	return dst
}

func appendRule(dst []byte, p *capture.Packet) []byte {
	dst = append(dst, " rule "...)
	dst = appendRuleNumber(dst, p.Rule)
	if p.Anchor != "" || p.Subrule != capture.NoRule {
		dst = append(dst, '.')
		dst = appendPlain(dst, p.Anchor)
		dst = append(dst, '.')
		dst = appendRuleNumber(dst, p.Subrule)
	}
	return dst
}

func appendRuleNumber(dst []byte, n uint32) []byte {
	if n == capture.NoRule {
		return append(dst, "def"...)
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

func appendTextFlow(dst []byte, f *capture.Flow, ports bool) []byte {
	dst = appendTextAddr(dst, f.Source, f.SourcePort, ports)
	dst = append(dst, " > "...)
	return appendTextAddr(dst, f.Destination, f.DestinationPort, ports)
}

func appendTextAddr(dst []byte, a netip.Addr, port uint16, ports bool) []byte {
	if !a.IsValid() {
		return append(dst, '?')
	}
	dst = a.AppendTo(dst)
	if ports {
		dst = append(dst, '.')
		dst = strconv.AppendUint(dst, uint64(port), 10)
	}
	return dst
}

// appendTransport says what the packet holds.
func appendTransport(dst []byte, p *capture.Packet) []byte {
	switch {
	case p.Has&capture.HasProtocol == 0:
		return append(dst, "IP"...)
	case p.Has&capture.HasTCPFlags != 0:
		dst = append(dst, "Flags ["...)
		dst = appendFlags(dst, p.TCPFlags)
		dst = append(dst, "], seq "...)
		return strconv.AppendUint(dst, uint64(p.TCPSeq), 10)
	case p.Protocol == protoTCP:
		return append(dst, "TCP"...)
	case p.Protocol == protoUDP:
		return append(dst, "UDP"...)
	case p.Protocol == protoICMP || p.Protocol == protoICMPv6:
		dst = append(dst, "ICMP"...)
		if p.Protocol == protoICMPv6 {
			dst = append(dst, '6')
		}
		if p.Has&capture.HasICMPType == 0 {
			return dst
		}
		if name := icmpName(p.Protocol, p.ICMPType); name != "" {
			dst = append(dst, ' ')
			return append(dst, name...)
		}
		dst = append(dst, " type "...)
		return strconv.AppendUint(dst, uint64(p.ICMPType), 10)
	}
	dst = append(dst, "ip-proto-"...)
	return strconv.AppendUint(dst, uint64(p.Protocol), 10)
}

// icmpName names the types that are met in practice.
func icmpName(protocol, kind uint8) string {
	if protocol == protoICMPv6 {
		switch kind {
		case 1:
			return "destination unreachable"
		case 2:
			return "packet too big"
		case 3:
			return "time exceeded"
		case 128:
			return "echo request"
		case 129:
			return "echo reply"
		case 133:
			return "router solicitation"
		case 134:
			return "router advertisement"
		case 135:
			return "neighbor solicitation"
		case 136:
			return "neighbor advertisement"
		}
		return ""
	}
	switch kind {
	case 0:
		return "echo reply"
	case 3:
		return "destination unreachable"
	case 5:
		return "redirect"
	case 8:
		return "echo request"
	case 11:
		return "time exceeded"
	}
	return ""
}

// appendPlain appends a name from a record; bytes that a terminal might obey become question marks.
func appendPlain(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f {
			dst = append(dst, c)
		} else {
			dst = append(dst, '?')
		}
	}
	return dst
}
