package livetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/programs"
)

// Addresses of the little network: one server and a handful of attackers behind one link.
const (
	serverAddress = "198.51.100.1"
	firstAttacker = 66 // 198.51.100.66 …
	attackers     = 8
)

// network is a pair of network namespaces joined by a veth link.
type network struct{ server, outside string }

// command runs a program to its end and fails the test if it does.
func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func newNetwork(t *testing.T) network {
	t.Helper()
	needsRoot(t, "network namespaces")
	ip := testkit.Tool(t, "ip")
	name := fmt.Sprintf("%d-%06x", os.Getpid(), rand.IntN(1<<24)) // several tests have one at the same time
	n := network{server: "pfws" + name, outside: "pfwo" + name}
	if out, err := exec.Command(ip, "netns", "add", n.server).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command(ip, "netns", "del", n.server).Run() })
	command(t, ip, "netns", "add", n.outside)
	t.Cleanup(func() { _ = exec.Command(ip, "netns", "del", n.outside).Run() })
	command(t, ip, "-n", n.server, "link", "add", "em0", "type", "veth", "peer", "name", "out0", "netns", n.outside)
	command(t, ip, "-n", n.server, "addr", "add", serverAddress+"/24", "dev", "em0")
	for i := range attackers {
		command(t, ip, "-n", n.outside, "addr", "add", attacker(i)+"/24", "dev", "out0")
	}
	for _, end := range [][2]string{{n.server, "em0"}, {n.server, "lo"}, {n.outside, "out0"}, {n.outside, "lo"}} {
		command(t, ip, "-n", end[0], "link", "set", end[1], "up")
	}
	return n
}

func attacker(i int) string { return fmt.Sprintf("198.51.100.%d", firstAttacker+i) }

// in returns the command that runs args inside a namespace.
func in(namespace string, args ...string) []string {
	return append([]string{"ip", "netns", "exec", namespace}, args...)
}

// start runs a program with more variables than the test's own until the test ends, and gives the file that has what it prints.
func start(t *testing.T, name string, env []string, args ...string) (cmd *exec.Cmd, output string) {
	t.Helper()
	cmd = exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	return cmd, programs.Start(t, name, cmd)
}

// openDir is a temporary folder that servers running as other users can read.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	testkit.Must(t, os.Chmod(filepath.Dir(dir), 0o755))
	testkit.Must(t, os.Chmod(dir, 0o755))
	return dir
}

// modernLog is how Apache writes its errors today.
const modernLog = "ErrorLog DIR/error_log\n"

// oldLog has Apache write its errors as its releases up to 2.2 did: without module, process, port, and the
// number of the message, and all of what is of interest here as an error.
const oldLog = `ErrorLogFormat "[%t] [%l] [client\ %a] %M"
ErrorLog "|$exec sed -uE -f DIR/old.sed >>DIR/error_log"
`

// apache starts a real httpd with Basic authentication on /priv/ and returns the path of its error log.
func apache(t *testing.T, n network, settings string) string {
	t.Helper()
	bin := testkit.Tool(t, "apache2")
	modules := "/usr/lib/apache2/modules"
	if _, err := os.Stat(modules); err != nil {
		t.Skip("Apache's modules are not where Debian puts them")
	}
	dir := openDir(t)
	testkit.Must(t, os.MkdirAll(filepath.Join(dir, "htdocs", "priv"), 0o755))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "htdocs", "index.html"), []byte("hello\n"), 0o644))
	// bob's password is "secret", hashed by openssl passwd -apr1
	hash := strings.TrimSpace(command(t, testkit.Tool(t, "openssl"), "passwd", "-apr1", "secret"))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "users"), []byte("bob:"+hash+"\n"), 0o644))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "old.sed"), []byte(`s/\] \[[a-z]+\] (\[client [0-9.]+):[0-9]+\] (AH[0-9]+: )?/] [error] \1] /`+"\n"), 0o644))
	errorLog := filepath.Join(dir, "error_log")
	showOnFailure(t, errorLog)
	conf := strings.NewReplacer("DIR", dir, "MODULES", modules, "ADDRESS", serverAddress).Replace(`ServerRoot DIR
ServerName ADDRESS
Listen ADDRESS:80
PidFile DIR/httpd.pid
Mutex fcntl:DIR
LoadModule mpm_prefork_module MODULES/mod_mpm_prefork.so
LoadModule authn_core_module MODULES/mod_authn_core.so
LoadModule authn_file_module MODULES/mod_authn_file.so
LoadModule authz_core_module MODULES/mod_authz_core.so
LoadModule authz_user_module MODULES/mod_authz_user.so
LoadModule auth_basic_module MODULES/mod_auth_basic.so
LoadModule mime_module MODULES/mod_mime.so
User www-data
Group www-data
TypesConfig /dev/null
DocumentRoot DIR/htdocs
LogLevel info
<Directory DIR/htdocs/priv>
  AuthType Basic
  AuthName private
  AuthUserFile DIR/users
  Require valid-user
</Directory>
` + settings)
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "httpd.conf"), []byte(conf), 0o644))
	start(t, "apache2", nil, in(n.server, bin, "-X", "-f", filepath.Join(dir, "httpd.conf"))...)
	testkit.Within(t, 10*time.Second, "httpd answers", func() bool { return request(n, attacker(attackers-1), "/index.html", "") == 200 })
	return errorLog
}

// request asks the server for a path from one of the attackers' addresses, with more arguments of curl's, and returns the status, 0 without an answer.
func request(n network, from, path, userpass string, more ...string) int {
	args := in(n.outside, "curl", "-s", "-o", "/dev/null", "-m", "60", "-w", "%{http_code}", "--interface", from)
	if userpass != "" {
		args = append(args, "-u", userpass)
	}
	args = append(append(args, more...), "http://"+serverAddress+path)
	out, _ := exec.Command(args[0], args[1:]...).Output()
	status := 0
	_, _ = fmt.Sscanf(string(out), "%d", &status)
	return status
}

// sshd starts a real sshd that logs through a real syslogd, and returns the path of the auth log.
func sshd(t *testing.T, n network) string {
	t.Helper()
	bin, syslogd := testkit.Tool(t, "sshd"), testkit.Tool(t, "rsyslogd")
	testkit.Tool(t, "sshpass")
	if _, err := os.Stat("/dev/log"); err == nil {
		t.Skip("a syslogd of this machine's own holds /dev/log")
	}
	dir := openDir(t)
	authlog := filepath.Join(dir, "auth.log")
	showOnFailure(t, authlog)
	conf := fmt.Sprintf(`module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="/dev/log" CreatePath="on")
$WorkDirectory %[1]s
$ActionFileDefaultTemplate RSYSLOG_TraditionalFileFormat
*.* %[1]s/auth.log
`, dir)
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "rsyslog.conf"), []byte(conf), 0o644))
	start(t, "rsyslogd", nil, syslogd, "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid"))
	t.Cleanup(func() { _ = os.Remove("/dev/log") })
	testkit.Within(t, 10*time.Second, "syslogd listens", func() bool { _, err := os.Stat("/dev/log"); return err == nil })
	key := filepath.Join(dir, "hostkey")
	command(t, testkit.Tool(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
	testkit.Must(t, os.MkdirAll("/run/sshd", 0o755))
	sshdConf := fmt.Sprintf("ListenAddress %s\nPort 22\nHostKey %s\nPidFile %s/sshd.pid\nUsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nMaxAuthTries 6\nMaxStartups 100\nUseDNS no\n", serverAddress, key, dir)
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(sshdConf), 0o600))
	start(t, "sshd", nil, in(n.server, bin, "-D", "-f", filepath.Join(dir, "sshd_config"))...)
	testkit.Within(t, 10*time.Second, "sshd listens", func() bool {
		text, _ := os.ReadFile(authlog)
		return bytes.Contains(text, []byte("Server listening"))
	})
	return authlog
}

// showOnFailure prints a log if the test fails.
func showOnFailure(t *testing.T, path string) {
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(path)
			t.Logf("%s:\n%s", filepath.Base(path), text)
		}
	})
}

// guess tries to log in with a wrong password once.
func guess(t *testing.T, n network, from, user string) {
	t.Helper()
	args := in(n.outside, "sshpass", "-p", "wrong", "ssh", "-F", "none", "-b", from, "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=60",
		"-o", "PreferredAuthentications=password", "-o", "LogLevel=ERROR", user+"@"+serverAddress, "true")
	if err := exec.Command(args[0], args[1:]...).Run(); err == nil {
		t.Fatal("a wrong password was accepted")
	}
}
