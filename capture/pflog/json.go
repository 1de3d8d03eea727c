package pflog

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"pfwarden/capture"
)

// AppendJSON appends the packet as one JSON object without a line end. README.md beside this file lists its keys. It
// allocates nothing but what dst needs to grow.
func AppendJSON(dst []byte, p *capture.Packet, system System) []byte {
	dst = append(dst, `{"time":"`...)
	dst = appendTime(dst, p.Time, p.Nanos, 'T')
	dst = append(dst, `Z","dialect":"`...)
	if p.Dialect == capture.DialectOld {
		dst = append(dst, "old"...)
	} else {
		dst = append(dst, "len"...)
		dst = strconv.AppendUint(dst, uint64(p.Dialect), 10)
	}
	dst = append(dst, `","action":"`...)
	dst = appendName(dst, ActionName(p.Dialect, p.Action, system), uint64(p.Action))
	dst = append(dst, `","reason":"`...)
	dst = appendName(dst, ReasonName(p.Dialect, p.Reason, system), uint64(p.Reason))
	dst = append(dst, `","direction":`...)
	if p.Direction == capture.UnknownDirection {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '"')
		dst = appendName(dst, directionName(p.Direction), uint64(p.Direction))
		dst = append(dst, '"')
	}
	dst = append(dst, `,"interface":`...)
	dst = appendString(dst, p.Interface)
	dst = append(dst, `,"rule":`...)
	dst = appendNumber(dst, p.Rule, p.Rule != capture.NoRule)
	dst = append(dst, `,"subrule":`...)
	dst = appendNumber(dst, p.Subrule, p.Subrule != capture.NoRule)
	dst = append(dst, `,"anchor":`...)
	dst = appendString(dst, p.Anchor)
	dst = append(dst, `,"uid":`...)
	dst = appendNumber(dst, p.UID, p.Has&capture.HasUID != 0)
	dst = append(dst, `,"pid":`...)
	dst = appendNumber(dst, p.PID, p.Has&capture.HasPID != 0)
	dst = append(dst, `,"rule_uid":`...)
	dst = appendNumber(dst, p.RuleUID, p.Has&capture.HasRuleUID != 0)
	dst = append(dst, `,"rule_pid":`...)
	dst = appendNumber(dst, p.RulePID, p.Has&capture.HasRulePID != 0)
	dst = append(dst, `,"rule_id":`...)
	dst = appendNumber(dst, p.RuleID, p.RuleID != 0)
	dst = append(dst, `,"ip_version":`...)
	dst = strconv.AppendUint(dst, uint64(p.IPVersion), 10)
	dst = append(dst, `,"proto":`...)
	dst = appendProtocol(dst, p)
	dst = append(dst, `,"ttl":`...)
	dst = appendNumber(dst, uint32(p.TTL), p.Has&capture.HasTTL != 0)
	ports := p.Has&capture.HasPorts != 0
	dst = appendFlow(dst, &p.Flow, ports)
	dst = append(dst, `,"tcp_flags":`...)
	if p.Has&capture.HasTCPFlags != 0 {
		dst = append(dst, '"')
		dst = appendFlags(dst, p.TCPFlags)
		dst = append(dst, '"')
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"icmp_type":`...)
	dst = appendNumber(dst, uint32(p.ICMPType), p.Has&capture.HasICMPType != 0)
	dst = append(dst, `,"length":`...)
	dst = strconv.AppendUint(dst, uint64(p.Length), 10)
	dst = append(dst, `,"truncated":`...)
	dst = strconv.AppendBool(dst, p.Truncated)
	dst = append(dst, `,"rewritten":`...)
	dst = strconv.AppendBool(dst, p.Rewritten)
	if p.Has&capture.HasTranslated != 0 {
		dst = append(dst, `,"translated":{`...)
		start := len(dst)
		dst = appendFlow(dst, &p.Translated, hasPorts(p.Protocol))
		dst = append(dst[:start], dst[start+1:]...) // without the first comma
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendFlow(dst []byte, f *capture.Flow, ports bool) []byte {
	dst = append(dst, `,"source":`...)
	dst = appendAddr(dst, f.Source)
	dst = append(dst, `,"source_port":`...)
	dst = appendNumber(dst, uint32(f.SourcePort), ports)
	dst = append(dst, `,"destination":`...)
	dst = appendAddr(dst, f.Destination)
	dst = append(dst, `,"destination_port":`...)
	return appendNumber(dst, uint32(f.DestinationPort), ports)
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = a.AppendTo(dst)
	return append(dst, '"')
}

func appendProtocol(dst []byte, p *capture.Packet) []byte {
	if p.Has&capture.HasProtocol == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	if name := protocolName(p.Protocol); name != "" {
		dst = append(dst, name...)
	} else {
		dst = strconv.AppendUint(dst, uint64(p.Protocol), 10)
	}
	return append(dst, '"')
}

func appendNumber(dst []byte, n uint32, valid bool) []byte {
	if !valid {
		return append(dst, "null"...)
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

// appendName appends a name or, if there is none, unknown(N).
func appendName(dst []byte, name string, n uint64) []byte {
	if name != "" {
		return append(dst, name...)
	}
	dst = append(dst, "unknown("...)
	dst = strconv.AppendUint(dst, n, 10)
	return append(dst, ')')
}

// appendFlags appends TCP flags as letters in the order F S R P . U E W, or "none".
func appendFlags(dst []byte, flags uint8) []byte {
	if flags == 0 {
		return append(dst, "none"...)
	}
	const letters = "FSRP.UEW"
	for i := range len(letters) {
		if flags&(1<<i) != 0 {
			dst = append(dst, letters[i])
		}
	}
	return dst
}

// appendTime appends date and time with six digits of the second, or nine.
func appendTime(dst []byte, t time.Time, nine bool, separator byte) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = append(dst, '-')
	dst = appendDigits(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendDigits(dst, day, 2)
	dst = append(dst, separator)
	dst = appendDigits(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, second, 2)
	dst = append(dst, '.')
	if nine {
		return appendDigits(dst, t.Nanosecond(), 9)
	}
	return appendDigits(dst, t.Nanosecond()/1000, 6)
}

// appendDigits appends n with leading zeros.
func appendDigits(dst []byte, n, width int) []byte {
	if n < 0 { // a year before ours: only a made-up file has one
		dst, n = append(dst, '-'), -n
	}
	for limit := 10; width > 1; width-- {
		if n < limit {
			pad := width - 1
			for range pad {
				dst = append(dst, '0')
			}
			break
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return append(dst, '"')
}
