package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// What PF itself allows (pfvar.h: PF_TABLE_NAME_SIZE and PF_ANCHOR_NAME_SIZE with their final NUL), and what its log keeps of
// an anchor's name (struct pfloghdr: ruleset[16]).
const (
	maxTableName       = 31
	maxAnchorComponent = 63
	maxLoggedAnchor    = 15
	maxSocketPath      = 103 // sun_path of the BSDs, with its NUL
)

func anything(string) error { return nil }

// notEmpty returns a check for strings that must say something.
func notEmpty(what string) func(string) error {
	return func(s string) error {
		if s == "" {
			return fmt.Errorf("empty, expected %s", what)
		}
		return nil
	}
}

func checkAnchor(s string) error {
	if s == "" {
		return errors.New(`empty, expected the name of an anchor such as "pfwarden"`)
	}
	var errs []error
	components := strings.Split(s, "/")
	for _, c := range components {
		if c == "" || len(c) > maxAnchorComponent || strings.Trim(c, nameCharacters+".") != "" || strings.Trim(c, ".") == "" {
			errs = append(errs, fmt.Errorf("got %q, expected names of letters, digits, _ - . with a / between them, each at most %d characters", s, maxAnchorComponent))
			break
		}
	}
	if last := components[len(components)-1]; len(last) > maxLoggedAnchor {
		errs = append(errs,
			fmt.Errorf("the last part %q has %d characters; expected at most %d, since PF's log keeps no more of it", last, len(last), maxLoggedAnchor))
	}
	return errors.Join(errs...)
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

func checkTable(s string) error {
	if s == "" || len(s) > maxTableName || strings.Trim(s, nameCharacters) != "" {
		return fmt.Errorf("got %q, expected the name of a table: letters, digits, _ and -, at most %d characters", s, maxTableName)
	}
	return nil
}

func checkInterface(s string) error {
	if len(s) > 15 || strings.Trim(s, nameCharacters+".") != "" {
		return fmt.Errorf("got %q, expected the name of an interface or interface group", s)
	}
	return nil
}

func checkListen(s string) error {
	if s == "" {
		return nil
	}
	const want = `expected address:port such as "127.0.0.1:9845", or "" for none`
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return fmt.Errorf("got %q without a port, %s", s, want)
	}
	host, port := s[:i], s[i+1:]
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || port[0] == '+' {
		return fmt.Errorf("got port %q, expected 1 to 65535", port)
	}
	if host == "" || host == "localhost" {
		return nil
	}
	bare, bracketed := strings.CutPrefix(host, "[")
	bare = strings.TrimSuffix(bare, "]")
	a, err := netip.ParseAddr(bare)
	if err != nil || a.Is6() != bracketed {
		return fmt.Errorf(`got address %q, %s (an IPv6 address stands in brackets)`, host, want)
	}
	return nil
}

func checkSocket(s string) error {
	if s == "" {
		return errors.New("empty, expected the path of a unix socket")
	}
	if len(s) > maxSocketPath {
		return fmt.Errorf("the path has %d bytes; the systems allow %d for a socket", len(s), maxSocketPath)
	}
	return nil
}

var groupName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$`)

func checkGroup(s string) error {
	if s != "" && !groupName.MatchString(s) {
		return fmt.Errorf(`got %q, expected the name of a group, or "" for the daemon's own`, s)
	}
	return nil
}

func checkGlob(s string) error {
	if s == "" {
		return errors.New(`empty, expected the path of a log, a glob, or "-" for standard input`)
	}
	if _, err := filepath.Match(s, ""); err != nil {
		return fmt.Errorf("got %q, which is no valid glob: a [ or \\ in it is not closed", s)
	}
	return nil
}

var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$`)

// checkNever accepts what a never-list may hold. Something that ends in a number is meant as an address (as RFC 1123 section
// 2.1 has it) and is not taken for a name.
func checkNever(s string) error {
	const want = "expected an address, a prefix such as 192.0.2.0/24, or a host name"
	switch {
	case s == "":
		return errors.New("empty, " + want)
	case strings.Contains(s, "/"):
		if _, err := netip.ParsePrefix(s); err != nil {
			return fmt.Errorf("got %q, which is no prefix; %s", s, want)
		}
	case strings.Contains(s, ":"), s[len(s)-1] >= '0' && s[len(s)-1] <= '9' && strings.Trim(s, "0123456789.") == "":
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			return fmt.Errorf("got %q, which is no address; %s", s, want)
		case a.Zone() != "":
			return fmt.Errorf("got %q; PF's tables know no zone, leave %%%s away", s, a.Zone())
		}
	case len(s) > 253 || !hostName.MatchString(s):
		return fmt.Errorf("got %q, %s", s, want)
	}
	return nil
}

// ValidNever says why an entry has no place in never, nil if it has one.
func ValidNever(s string) error { return checkNever(s) }

var jailName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// packetJail is the name of the jail that reads packets; no log jail may have it.
const packetJail = "portscan"

func checkJailName(s string) error {
	if s == packetJail {
		return errors.New("this name belongs to the packet jail: its section is [portscan]; expected another name")
	}
	if !jailName.MatchString(s) {
		return fmt.Errorf("%q is no name for a jail; expected letters, digits, _ - . and at most 64 of them", s)
	}
	return nil
}
