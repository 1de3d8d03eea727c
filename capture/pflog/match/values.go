package match

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseHost reads one address.
func parseHost(s string) (netip.Prefix, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is not an address; names are not looked up", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// isAddress tells whether a word can stand without "host" or "net": a full address or a prefix with a length.
func isAddress(s string) bool {
	if _, err := parseHost(s); err == nil {
		return true
	}
	if !strings.Contains(s, "/") {
		return false
	}
	_, err := parseNet(s)
	return err == nil
}

// parseNet reads a network: an address with a length, or one to four numbers of an IPv4 address with or without a length, which
// is else that of the numbers given.
func parseNet(s string) (netip.Prefix, error) {
	bad := fmt.Errorf("%q is not a network; write it as 192.0.2.0/24, 10/8, 192.168 or 2001:db8::/32", s)
	text, length, hasLength := strings.Cut(s, "/")
	address, bits, err := parseShort(text)
	if err != nil {
		return netip.Prefix{}, bad
	}
	if hasLength {
		if bits, err = strconv.Atoi(length); err != nil || bits < 0 || bits > address.BitLen() {
			return netip.Prefix{}, bad
		}
	}
	prefix := netip.PrefixFrom(address, bits)
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set after its length; did you mean %s?", s, prefix.Masked())
	}
	return prefix, nil
}

// parseShort reads an address that may lack numbers at its end, and returns how many bits were given.
func parseShort(s string) (netip.Addr, int, error) {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		return address, address.BitLen(), nil
	}
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return netip.Addr{}, 0, errors.New("too many numbers")
	}
	var b [4]byte
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return netip.Addr{}, 0, err
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), 8 * len(parts), nil
}

// parseMask reads "NET mask MASK".
func parseMask(network, mask string) (netip.Prefix, error) {
	address, _, err := parseShort(network)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil || !address.Is4() || !m.Is4() {
		return netip.Prefix{}, fmt.Errorf("%q mask %q is not an IPv4 network", network, mask)
	}
	for bits := range 33 {
		if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), bits).Masked(); p.Addr() == m {
			return netip.PrefixFrom(address, bits).Masked(), nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("mask %q has a hole", mask)
}

// services are the names that people write for ports; read only.
var services = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
	"gopher": 70, "finger": 79, "http": 80, "www": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ident": 113, "auth": 113,
	"nntp": 119, "ntp": 123, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap": 143, "imap2": 143, "snmp": 161,
	"snmptrap": 162, "bgp": 179, "ldap": 389, "https": 443, "microsoft-ds": 445, "submissions": 465, "smtps": 465, "isakmp": 500,
	"syslog": 514, "submission": 587, "ipp": 631, "ldaps": 636, "domain-s": 853, "rsync": 873, "imaps": 993, "pop3s": 995,
	"socks": 1080, "openvpn": 1194, "ms-sql-s": 1433, "ms-sql-m": 1434, "nfs": 2049, "mysql": 3306, "rdp": 3389, "sip": 5060,
	"sips": 5061, "postgresql": 5432, "vnc": 5900, "redis": 6379, "http-alt": 8080, "mdns": 5353,
}

func parsePort(s string) (uint16, error) {
	if port, known := services[s]; known {
		return port, nil
	}
	n, err := parseUint(s, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a port number nor a known service", s)
	}
	return uint16(n), nil
}

// parseRange reads FIRST-LAST or one port.
func parseRange(s string) (low, high uint16, err error) {
	if low, err = parsePort(s); err == nil { // also a service whose name has a hyphen
		return low, low, nil
	}
	for i := range min(len(s), 64) { // no two names are longer
		if s[i] != '-' {
			continue
		}
		low, err1 := parsePort(s[:i])
		high, err2 := parsePort(s[i+1:])
		if err1 == nil && err2 == nil {
			return min(low, high), max(low, high), nil
		}
	}
	return 0, 0, fmt.Errorf("%q is not a range of ports; write it as 1-1023", s)
}
