package livetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// stranger is a user whom nobody knows.
const stranger = 54321

// spoiled is a file that the daemon reads or writes, and what somebody else may have done to it.
type spoiled struct {
	name  string
	file  string // in the gateway's folder
	spoil func(path string) error
	want  string // of what the daemon says, beside the file's name
}

func open(path string) error       { return os.Chmod(path, 0o666) }               //nolint:gosec // that is what is tested
func openFolder(path string) error { return os.Chmod(filepath.Dir(path), 0o777) } //nolint:gosec // that is what is tested

// linked puts a symbolic link of a stranger's where a file was.
func linked(path string) error {
	if err := os.Rename(path, path+".real"); err != nil {
		return err
	}
	if err := os.Symlink(path+".real", path); err != nil {
		return err
	}
	return os.Lchown(path, stranger, stranger)
}

// linkedByRoot does the same as root.
func linkedByRoot(path string) error {
	if err := os.Rename(path, path+".real"); err != nil {
		return err
	}
	return os.Symlink(path+".real", path)
}

const everybody, aLink = "everybody may change", "a symbolic link"

func spoils() []spoiled {
	return []spoiled{
		{"configuration, open to all", "etc/pfwarden.toml", open, everybody},
		{"configuration, a stranger's link", "etc/pfwarden.toml", linked, aLink},
		{"configuration, in an open folder", "etc/pfwarden.toml", openFolder, everybody},
		{"rules, open to all", "rules/pf.rules", open, everybody},
		{"rules, a stranger's link", "rules/pf.rules", linked, aLink},
		{"rules, in an open folder", "rules/pf.rules", openFolder, everybody},
		{"web configuration, open to all", "web/web.yml", open, everybody},
		{"web configuration, a stranger's link", "web/web.yml", linked, aLink},
		{"web configuration, in an open folder", "web/web.yml", openFolder, everybody},
		{"key, open to all", "keys/key.pem", open, everybody},
		{"key, a stranger's link", "keys/key.pem", linked, aLink},
		{"certificate, in an open folder", "keys/cert.pem", openFolder, everybody},
		{"jail, open to all", "fail2ban/jail.local", open, everybody},
		{"filter, a stranger's link", "fail2ban/filter.d/own.conf", linked, aLink},
		{"included filter, open to all", "fail2ban/filter.d/common.conf", open, everybody},
		{"action, open to all", "fail2ban/action.d/own.conf", open, everybody},
		{"action, in an open folder", "fail2ban/action.d/own.conf", openFolder, everybody},
		{"ledger, open to all", "db/pfwarden.db", open, everybody},
		{"ledger, a stranger's link", "db/pfwarden.db", linked, aLink},
		{"ledger, root's link", "db/pfwarden.db", linkedByRoot, aLink},
		{"ledger, in an open folder", "db/pfwarden.db", openFolder, everybody},
		{"journal, open to all", "record/journal", open, everybody},
		{"journal, a stranger's link", "record/journal", linked, aLink},
		{"journal, root's link", "record/journal", linkedByRoot, aLink},
		{"journal, in an open folder", "record/journal", openFolder, everybody},
		{"socket, open to all", "run/s", open, everybody},
		{"socket, a stranger's link", "run/s", linked, aLink},
		{"socket, in an open folder", "run/s", openFolder, everybody},
	}
}

// furnish makes a gateway that reads and writes all the files that spoils names, and returns its configuration.
func furnish(g *gateway) (config string) {
	g.t.Helper()
	testkit.WriteFiles(g.t, g.dir, 0o600, map[string]string{
		"rules/pf.rules":             "table <banned> persist counters\ntable <suspects> persist counters\nblock drop quick from <banned>\nblock drop in quick from <suspects>\n",
		"web/web.yml":                "tls_server_config:\n  cert_file: ../keys/cert.pem\n  key_file: ../keys/key.pem\n",
		"fail2ban/jail.local":        "[own]\nenabled = true\nbackend = polling\nfilter = own\naction = own\nlogpath = " + g.dir + "/own.log\n",
		"fail2ban/filter.d/own.conf": "[INCLUDES]\nbefore = common.conf\n[Definition]\nfailregex = ^%(__p)s denied <HOST>$\n", "fail2ban/filter.d/common.conf": "[DEFAULT]\n__p = own\n",
		"fail2ban/action.d/own.conf": "[Definition]\nactionban = true <ip>\n", "own.log": "", "record/journal": "", "run/.keep": "", "etc/.keep": "",
	})
	makeCertificate(g.t, filepath.Join(g.dir, "keys"))
	g.config = filepath.Join(g.dir, "etc/pfwarden.toml")
	g.socket, g.store = g.dir+"/run/s", g.dir+"/db/pfwarden.db"
	g.pf += "\nrules_file = \"" + g.dir + "/rules/pf.rules\""
	g.head = "fail2ban = \"" + g.dir + "/fail2ban\"\n"
	g.more = append(g.more, "--journal", g.dir+"/record/journal", "--set", "control.socket="+g.socket, "--set", "metrics.web_config="+g.dir+"/web/web.yml")
	_, jail := g.authLog()
	return jail
}

// refusesToStart tries to start the daemon, and returns what it says if it ends by itself at once.
func (g *gateway) refusesToStart() string {
	g.t.Helper()
	cmd := exec.Command(g.bin, append([]string{"run", "-f", g.config}, g.more...)...)
	cmd.Env = append(os.Environ(), g.env...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	testkit.Must(g.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	started := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(started)
		for exec.Command(g.bin, "--socket", g.socket, "status").Run() != nil {
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	defer func() { close(stop); <-started }()
	select {
	case err := <-ended:
		if err == nil {
			g.t.Error("it ended as if all were well")
		}
	case <-started:
		g.t.Error("it started")
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	return said.String()
}

// TestSpoiledPaths: what somebody else may change, or leads elsewhere by a link, is neither read nor written: not at the start, and not at a reload,
// after which the daemon goes on as it was.
func TestSpoiledPaths(t *testing.T) {
	t.Parallel()
	needsRoot(t, "files of other users")
	programs := buildUnlessShort(t)
	inBothShapes(t, func(t *testing.T, option string) {
		for _, c := range spoils() {
			t.Run(c.name, func(t *testing.T) {
				g := programs.gateway(t, "openbsd", callUs)
				g.more = []string{option}
				g.run(furnish(g))
				path := filepath.Join(g.dir, c.file)
				testkit.Must(t, c.spoil(path))
				testkit.Must(t, g.daemon.Process.Signal(syscall.SIGHUP))
				if c.name == "socket, a stranger's link" {
					g.socket += ".real"
				}
				refusal := regexp.MustCompile(`level=ERROR .*` + regexp.QuoteMeta(filepath.Dir(c.file)) + `.*` + c.want)
				testkit.Within(t, 20*time.Second, "the reload is refused", func() bool { return refusal.MatchString(g.said()) })
				g.cli("bans") // it goes on
				g.stop()
				if c.file == "run/s" && c.want != everybody || c.name == "socket, open to all" {
					return // its end took the socket away
				}
				said := g.refusesToStart()
				if !strings.Contains(said, c.want) || !strings.Contains(said, filepath.Dir(c.file)) {
					t.Errorf("at the start it says:\n%s", said)
				}
			})
		}
	})
}
