package simulate

import (
	"fmt"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

const (
	protoICMP  = pflogwrite.ProtocolICMP
	protoTCP   = pflogwrite.ProtocolTCP
	protoUDP   = pflogwrite.ProtocolUDP
	protoICMP6 = pflogwrite.ProtocolICMPv6
)

// Rules of the gateway's pf.conf by number, as pflog shows them.
const (
	ruleBlock   = 3  // block in log on egress
	rulePassIn  = 9  // pass in log on egress proto tcp to port { ssh www }
	rulePassOut = 15 // pass out log on egress
)

// Dialects names what ParseDialect knows.
func Dialects() []string {
	return []string{"openbsd", "freebsd", "pfsense", "netbsd", "dragonfly", "darwin", "old", "len45", "len49", "len61", "len69", "len100"}
}

// ParseDialect says how a system writes its records: by the name of the system, or by that of the dialect as `pfwarden pflog` shows it. The
// snaplen is the default of OpenBSD's pflogd(8) for all of them: that of the others, 116, cuts the flags off TCP over IPv6, so that the same
// traffic would not be the same evidence.
func ParseDialect(name string) (Format, error) {
	f := Format{Dialect: 61, File: pflogwrite.Format{Snaplen: 160}}
	switch strings.ToLower(name) {
	case "openbsd", "len100", "":
		f.Dialect, f.System = 100, pflogwrite.OpenBSD
	case "freebsd", "len69":
		f.Dialect, f.System = 69, pflogwrite.FreeBSD
	case "pfsense", "opnsense", "len49":
		f.Dialect, f.System = 49, pflogwrite.FreeBSD
	case "netbsd", "len61":
		f.System = pflogwrite.NetBSD
	case "dragonfly":
		f.System = pflogwrite.DragonFly
	case "darwin", "macos":
		f.System = pflogwrite.Darwin
	case "len45":
		f.Dialect, f.System = 45, pflogwrite.OpenBSD
	case "old":
		f.Dialect, f.System, f.File.LinkType = capture.DialectOld, pflogwrite.OpenBSD, pflogwrite.LinkOldPflog
	default:
		return f, fmt.Errorf("unknown dialect %q: want one of %s", name, strings.Join(Dialects(), ", "))
	}
	return f, nil
}

// encoder writes records and lines. Its first error stays.
type encoder struct {
	to                             Output
	packets, authLines, errorLines uint64
	writer                         *pflogwrite.Writer
	record                         pflogwrite.Record
	zeros                          [1500]byte
	text                           []byte
	err                            error
}

func (e *encoder) begin() error {
	if e.to.Pflog == nil {
		return nil
	}
	if e.to.Format.Dialect == 0 && e.to.Format.File.LinkType == 0 {
		e.to.Format, _ = ParseDialect("openbsd") // a name that is known
	}
	var err error
	if e.writer, err = pflogwrite.NewWriter(e.to.Pflog, e.to.Format.File); err != nil {
		return fmt.Errorf("writing pflog: %w", err)
	}
	noID := uint32(pflogwrite.NoUID)
	if e.to.Format.Dialect == 61 && e.to.Format.System != pflogwrite.DragonFly {
		noID = pflogwrite.NoUID61
	}
	e.record = pflogwrite.Record{
		Dialect: e.to.Format.Dialect, System: e.to.Format.System, Interface: Interface, Subrule: capture.NoRule,
		UID: noID, PID: pflogwrite.NoPID, RulePID: 61744,
	}
	return nil
}

// packet writes one record. What goes out is flushed by end.
func (e *encoder) packet(at int64, p *packet) {
	e.packets++
	if e.writer == nil || e.err != nil {
		return
	}
	r := &e.record
	r.Action, r.Direction, r.Rule = capture.ActionBlock, capture.In, ruleBlock
	if p.pass {
		r.Action, r.Rule = capture.ActionPass, rulePassIn
	}
	if p.out {
		r.Direction, r.Rule = capture.Out, rulePassOut
	}
	if r.Dialect == capture.DialectOld {
		r.Direction-- // its first releases counted from in = 0
	}
	r.Translated = capture.Flow{Source: p.source, Destination: p.destination, SourcePort: p.sourcePort, DestinationPort: p.destinationPort}
	ip := pflogwrite.IP{Source: p.source, Destination: p.destination, TTL: p.ttl, ID: p.id}
	payload := e.zeros[:min(p.payload, len(e.zeros))]
	switch p.protocol {
	case protoTCP:
		tcp := pflogwrite.TCP{SourcePort: p.sourcePort, DestinationPort: p.destinationPort, Seq: p.seq, Flags: p.flags, Payload: payload}
		if p.flags&capture.FlagSYN != 0 {
			tcp.Options = mss
		}
		r.Packet = pflogwrite.AppendTCP(r.Packet[:0], ip, tcp)
	case protoUDP:
		r.Packet = pflogwrite.AppendUDP(r.Packet[:0], ip, p.sourcePort, p.destinationPort, payload)
	default:
		kind := p.kind
		if p.source.Is6() && kind == 8 {
			kind = 128 // echo request
		}
		r.Packet = pflogwrite.AppendICMP(r.Packet[:0], ip, kind, p.code, p.seq, payload)
	}
	e.err = e.writer.Write(time.Unix(0, at), r)
}

var mss = []byte{2, 4, 5, 0xb4} // 1460

// auth writes one line of sshd's log.
func (e *encoder) auth(at int64, pid int, message string) {
	e.authLines++
	if e.to.AuthLog == nil || e.err != nil {
		return
	}
	e.text = time.Unix(0, at).UTC().AppendFormat(e.text[:0], "2006-01-02T15:04:05.000Z")
	e.text = fmt.Appendf(e.text, " gw sshd-session[%d]: %s\n", pid, message)
	_, e.err = e.to.AuthLog.Write(e.text)
}

// httpd writes one line of Apache's error log.
func (e *encoder) httpd(at int64, client string, message string) {
	e.errorLines++
	if e.to.ErrorLog == nil || e.err != nil {
		return
	}
	e.text = append(e.text[:0], '[')
	e.text = time.Unix(0, at).UTC().AppendFormat(e.text, "Mon Jan 02 15:04:05.000000 2006")
	e.text = fmt.Appendf(e.text, "] [auth_basic:error] [pid 15680:tid 15686] [client %s] %s\n", client, message)
	_, e.err = e.to.ErrorLog.Write(e.text)
}

func (e *encoder) end() error {
	if e.err == nil && e.writer != nil {
		e.err = e.writer.Flush()
	}
	return e.err
}
