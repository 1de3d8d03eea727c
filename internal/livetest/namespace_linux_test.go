package livetest

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"pfwarden/internal/testkit"

	"golang.org/x/sys/unix"
)

// server6 and attacker6 are the IPv6 addresses of the little network, where it has them.
const server6 = "2001:db8:198::1"

func attacker6(i int) string { return fmt.Sprintf("2001:db8:198::%d", firstAttacker+i) }

// addIPv6 gives the network IPv6 addresses. It tells whether this machine can.
func addIPv6(n network) bool {
	add := func(namespace, address, device string) bool {
		return exec.Command("ip", "-n", namespace, "addr", "add", address+"/64", "dev", device, "nodad").Run() == nil
	}
	ok := add(n.server, server6, "em0")
	for i := range attackers {
		ok = ok && add(n.outside, attacker6(i), "out0")
	}
	return ok
}

// inside runs f on a thread that is in a network namespace: sockets that f itself makes belong there, from then on.
func inside(t *testing.T, namespace string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		fd, err := unix.Open(filepath.Join("/run/netns", namespace), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// listenInside accepts connections to a port of all addresses in a namespace until the test ends, and closes each.
func listenInside(t *testing.T, namespace string, port int) {
	t.Helper()
	var l net.Listener
	testkit.Must(t, inside(t, namespace, func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	}))
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
}

// reaches tells whether a TCP connection from one of the attackers' addresses to a port of the server comes about.
func reaches(t *testing.T, n network, from string, port int) bool {
	t.Helper()
	a := netip.MustParseAddr(from)
	server := serverAddress
	if a.Is6() {
		server = server6
	}
	err := inside(t, n.outside, func() error {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)), Timeout: testkit.Stretched(300 * time.Millisecond)}
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(server, fmt.Sprint(port)))
		if err != nil {
			return err
		}
		return c.Close()
	})
	return err == nil
}
