package privsep

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tried is what a worker without rights found out about itself.
type tried struct {
	Drop, Shadow, Passwd, Exec, Fork, Own, Outside, Root, Uid string
	Families                                                  []string // of sockets that it could make
	Status                                                    []string // of /proc/self/status, if it can be read
}

// TestConfinedHelper is no test: it is the process that TestConfined looks at.
func TestConfinedHelper(t *testing.T) {
	text, ok := os.LookupEnv("PFWARDEN_TEST_CONFINED")
	if !ok {
		t.Skip("run by TestConfined")
	}
	var r Role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	say := func(err error) string {
		if err == nil {
			return "done"
		}
		return err.Error()
	}
	status, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer status.Close()
	out := tried{Drop: say(r.Drop(WorkerNeeds{}))}
	_, err = os.ReadFile("/etc/shadow")
	out.Shadow = say(err)
	_, err = os.ReadFile("/etc/passwd")
	out.Passwd = say(err)
	out.Fork = say(exec.Command("/bin/true").Run())
	if out.Fork != "done" { // of what began a process after all there would be two now
		pid, _, errno := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
		if pid == 0 && errno == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		if errno == 0 {
			out.Fork = "done"
		}
	}
	for name, s := range sockets() {
		if fd, err := unix.Socket(s[0], unix.SOCK_DGRAM, s[1]); err == nil {
			unix.Close(fd)
			out.Families = append(out.Families, name)
		}
		if fds, err := unix.Socketpair(s[0], unix.SOCK_DGRAM, s[1]); err == nil {
			unix.Close(fds[0])
			unix.Close(fds[1])
			out.Families = append(out.Families, name+" pair")
		}
	}
	slices.Sort(out.Families)
	if _, err := net.InterfaceAddrs(); err != nil {
		t.Error(err)
	}
	own := "/proof"
	if r.Chroot == "" {
		own = os.Getenv("PFWARDEN_TEST_OWN") + "/proof"
	}
	out.Own = say(os.WriteFile(own, []byte("#!/bin/true\n"), 0o700))
	out.Outside = say(os.WriteFile("/usr/proof", []byte("x"), 0o600))
	out.Root = say(unix.Setuid(0))
	if r.Chroot == "" {
		b, err := os.ReadFile("/proc/thread-self/status")
		out.Uid = say(err)
		for line := range strings.Lines(string(b)) {
			for _, name := range []string{"Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp:", "CapEff:", "CapPrm:"} {
				if strings.HasPrefix(line, name) {
					out.Status = append(out.Status, strings.Join(strings.Fields(line), " "))
				}
			}
		}
	}
	program := "/bin/true"
	if r.Chroot != "" {
		program = own // there is no other file
	}
	if out.Drop == "done" { // else it might work, and nothing would be said at all
		out.Exec = say(unix.Exec(program, []string{program}, nil))
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		t.Fatal(err)
	}
}

// sockets are families and protocols, of which anybody may make some where the kernel has them.
func sockets() map[string][2]int {
	return map[string][2]int{
		"unix": {unix.AF_UNIX, 0}, "inet": {unix.AF_INET, 0}, "inet6": {unix.AF_INET6, 0}, "route": {unix.AF_NETLINK, unix.NETLINK_ROUTE},
		"netfilter": {unix.AF_NETLINK, unix.NETLINK_NETFILTER}, "uevent": {unix.AF_NETLINK, unix.NETLINK_KOBJECT_UEVENT}, "crypto": {unix.AF_NETLINK, unix.NETLINK_CRYPTO},
		"alg": {unix.AF_ALG, 0}, "vsock": {unix.AF_VSOCK, 0}, "tipc": {unix.AF_TIPC, 0}, "rds": {unix.AF_RDS, 0}, "can": {unix.AF_CAN, 1}, "packet": {unix.AF_PACKET, 0},
	}
}

// TestConfined: a worker that gave its rights up can neither read /etc/shadow, nor run a program, nor write outside its folder, nor
// become root again, nor make a socket of a family that it does not need; with a chroot it does not even see the rest.
func TestConfined(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has rights to give up")
	}
	for _, chroot := range []bool{false, true} {
		dir, err := os.MkdirTemp("", "confined")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		r := Role{UID: 65534, GID: 65534}
		if chroot {
			r.Chroot = dir
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestConfinedHelper$")
		cmd.Env = append(os.Environ(), "PFWARDEN_TEST_CONFINED="+string(text), "PFWARDEN_TEST_OWN="+dir)
		out, err := cmd.Output()
		var got tried
		if err := errors.Join(err, json.Unmarshal(out[:max(0, strings.IndexByte(string(out), '\n'))], &got)); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Logf("chroot %v: %+v", chroot, got)
		if got.Drop != "done" || got.Own != "done" {
			t.Errorf("chroot %v: it cannot do its work: %+v", chroot, got)
		}
		got.Families = slices.DeleteFunc(got.Families, func(name string) bool { return name == "inet6" }) // not every kernel has it
		if want := []string{"inet", "route", "unix", "unix pair"}; !slices.Equal(got.Families, want) && runtime.GOARCH != "386" {
			t.Errorf("chroot %v: it could make sockets of %q, want %q", chroot, got.Families, want)
		}
		for what, said := range map[string]string{"open /etc/shadow": got.Shadow, "run a program": got.Exec, "begin a process": got.Fork, "write outside": got.Outside, "become root": got.Root} {
			if said == "done" {
				t.Errorf("chroot %v: it could %s", chroot, what)
			}
		}
		if chroot != (got.Passwd != "done") {
			t.Errorf("chroot %v: /etc/passwd: %s", chroot, got.Passwd)
		}
		if _, err := os.Lstat(filepath.Join(dir, "proof")); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("chroot %v: what it wrote is not in its folder", chroot)
		}
		if !chroot {
			for _, want := range []string{"Uid: 65534 65534 65534 65534", "Gid: 65534 65534 65534 65534", "Groups:", "NoNewPrivs: 1", "Seccomp: 2", "CapEff: 0000000000000000", "CapPrm: 0000000000000000"} {
				if !strings.Contains(strings.Join(got.Status, "\n"), want) {
					t.Errorf("/proc says %q, want %q", got.Status, want)
				}
			}
		}
	}
}
