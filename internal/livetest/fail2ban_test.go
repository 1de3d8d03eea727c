package livetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/debian"
)

// fail2banFolder makes a configuration folder of Debian's, with files of the test's own laid over it. In their text DIR stands for the folder,
// which is returned.
func fail2banFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := debian.Configuration(t, debian.Fail2ban(t))
	// What Debian's fail2ban.conf names lies outside the folder.
	files["fail2ban.local"] += "[DEFAULT]\nlogtarget = DIR/fail2ban.log\ndbfile = None\nsocket = DIR/sock\npidfile = DIR/pid\n"
	testkit.WriteFiles(t, dir, 0o644, files)
	return dir
}

// onlyFail2ban switches off what pfwarden would watch beside the jails of a fail2ban folder.
const onlyFail2ban = `[portscan]
enabled = false
[jail.httpd-auth]
enabled = false
[jail.httpd-noscript]
enabled = false
[jail.httpd-overflows]
enabled = false
[jail.httpd-probes]
enabled = false
`

// runFail2ban starts the daemon with the jails of a fail2ban folder, by the key of the configuration or by the flag.
func (g *gateway) runFail2ban(dir string, byFlag bool) {
	g.t.Helper()
	g.folder = dir
	key := fmt.Sprintf("fail2ban = %q\n", dir)
	if byFlag {
		g.more, key = []string{"--fail2ban", dir}, ""
	}
	g.head += key
	g.run(onlyFail2ban)
}

// client runs fail2ban-client in pfwarden's stead of it, called by that name.
func (g *gateway) client(args ...string) (string, error) {
	g.t.Helper()
	return g.shim("fail2ban-client", append([]string{"-c", g.folder}, args...)...)
}

func (g *gateway) shim(name string, args ...string) (string, error) {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if _, err := os.Lstat(path); err != nil {
		testkit.Must(g.t, os.Symlink(g.bin, path))
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "PFWARDEN_SOCKET="+g.socket, "PFWARDEN_CONFIG="+g.config)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// answers runs a shim that must succeed and say some words.
func (g *gateway) answers(name string, args []string, words ...string) string {
	g.t.Helper()
	out, err := g.shim(name, args...)
	if err != nil {
		g.t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			g.t.Errorf("%s %q does not say %q:\n%s", name, args, w, out)
		}
	}
	return out
}

// appendLine writes a line at the end of a log.
func appendLine(t *testing.T, path, format string, args ...any) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	testkit.Must(t, err)
	defer f.Close()
	_, err = fmt.Fprintf(f, format+"\n", args...)
	testkit.Must(t, err)
}

// fail logs as many failed log-ins of an address as make a ban of five, each of a process of its own: the filter takes lines of one process for one story.
func (g *gateway) fail(authlog, address string) {
	g.t.Helper()
	for range 5 {
		g.sshd++
		appendLine(g.t, authlog, "%s gw sshd[%d]: Failed password for root from %s port %d ssh2", time.Now().Format("Jan _2 15:04:05"), 1000+g.sshd, address, 40000+g.sshd)
	}
}
