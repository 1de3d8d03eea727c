package livetest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// What nobody but root may ever read; each is found again wherever it leaks to.
const (
	metricsPassword = "SEKRIT-metrics"
	guessedPassword = "SEKRIT-guessed"
	plainPassword   = "SEKRIT-plain" // written where its hash belongs
	actionToken     = "SEKRIT-token" // an option of an action, in jail.local
	smtpPassword    = "SEKRIT-smtp"  // an option of an action, in action.d
	hookVariable    = "SEKRIT-environment"
)

// tapped is everything that a gateway was heard to say, by where.
type tapped struct {
	mu sync.Mutex
	by map[string]*bytes.Buffer
}

func (s *tapped) add(where, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[where] == nil {
		s.by[where] = new(bytes.Buffer)
	}
	s.by[where].WriteString(text)
}

// watch reads the arguments of all processes of the daemon, as ps(1) shows them, until the function that it returns is called.
func (s *tapped) watch(g *gateway) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for _, pid := range g.processes() {
				text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				s.add("arguments", string(text)+"\n")
			}
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() { close(end); <-ended }
}

// TestSecretsStaySecret sets secrets everywhere where the configuration takes any, has everything fail that can tell of them, and looks for them in all that
// the program says: its log at level debug, arguments of its processes, answers of its socket to everybody and of its verbs, its pages, its files.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	needsRoot(t, "asks as another user")
	programs := buildUnlessShort(t)
	inBothShapes(t, func(t *testing.T, option string) {
		g := programs.gateway(t, "openbsd", callUs)
		g.env = append(g.env, "HOOK_TOKEN="+hookVariable)
		g.more = []string{option, "--set", "log.level=debug", "--journal", g.dir + "/journal"}
		roots, hash := g.secureWeb(metricsPassword)
		key, err := os.ReadFile(g.dir + "/web/key.pem")
		testkit.Must(t, err)
		testkit.WriteFiles(t, g.dir, 0o600, map[string]string{
			"fail2ban/jail.local":           "[own]\nenabled = true\nbackend = polling\nmaxretry = 1\nfilter = own\naction = notify[token=\"" + actionToken + "\"]\nlogpath = " + g.dir + "/own.log\n",
			"fail2ban/filter.d/own.conf":    "[Definition]\nfailregex = denied <HOST>$\n",
			"fail2ban/action.d/notify.conf": "[Definition]\nactionban = echo \"posting with <token> and <smtp_password> for <ip>\" >&2; echo \"$HOOK_TOKEN\" >DIR/seen; sleep 0.3; exit 1\nactionunban = echo <token>; exit 1\n[Init]\nsmtp_password = " + smtpPassword + "\n",
			"own.log":                       "",
		})
		g.folder, g.head = g.dir+"/fail2ban", "fail2ban = \""+g.dir+"/fail2ban\"\n"
		_, jail := g.authLog()
		g.run(jail)
		said := &tapped{by: make(map[string]*bytes.Buffer)}
		stop := said.watch(g)

		log, err := os.OpenFile(g.dir+"/own.log", os.O_APPEND|os.O_WRONLY, 0)
		testkit.Must(t, err)
		defer log.Close()
		_, err = fmt.Fprintf(log, "%s denied 198.51.100.9\n", time.Now().Format("2006-01-02 15:04:05"))
		testkit.Must(t, err)
		testkit.Within(t, 20*time.Second, "the action has failed", func() bool { return strings.Contains(g.said(), "an action failed") })
		if seen, err := os.ReadFile(g.dir + "/seen"); err != nil || strings.TrimSpace(string(seen)) != hookVariable {
			t.Errorf("the command was not given its variable: %q, %v", seen, err)
		}
		testkit.Must(t, os.Remove(g.dir+"/seen"))

		for _, password := range []string{metricsPassword, guessedPassword, ""} {
			for _, page := range []string{"/metrics", "/healthz", "/", "/nowhere"} {
				status, body := g.askWeb(roots, page, password)
				said.add("pages", body)
				if status == 0 || (status == 401) != (password != metricsPassword) {
					t.Errorf("%s with %q: %d %s", page, password, status, body)
				}
			}
		}
		for _, args := range [][]string{
			{"status"}, {"status", "own"}, {"bans"}, {"explain", "198.51.100.9"}, {"never", "list"}, {"pf"}, {"check", "-f", g.config}, {"unban", "198.51.100.9"}, {"ban", "203.0.113.5"}, {"plan", "-f", g.config},
		} {
			for _, format := range []string{"text", "json"} {
				out, _ := exec.Command(g.bin, append([]string{"--socket", g.socket, "-v", "-o", format}, args...)...).CombinedOutput()
				said.add("verbs", string(out))
			}
		}
		shim := filepath.Join(g.dir, "fail2ban-client")
		testkit.Must(t, os.Symlink(g.bin, shim))
		for _, args := range [][]string{
			{"get", "own", "action", "notify", "token"}, {"get", "own", "action", "notify", "actionban"}, {"get", "own", "actionproperties", "notify"}, {"get", "own", "actions"}, {"status", "own"}, {"banned"},
		} {
			out := asGroup(t, g, shim, append([]string{"-c", g.folder}, args...)...)
			said.add("fail2ban-client of the group", out)
			if denied := args[0] == "get" && len(args) == 5; denied != strings.Contains(out, "only root") || !denied && strings.Contains(strings.ToLower(out), "error") {
				t.Errorf("a reader of the group that asks %v is told %q", args, out)
			}
		}
		if out, err := g.client("get", "own", "action", "notify", "token"); err != nil || strings.TrimSpace(out) != actionToken {
			t.Errorf("root is not told what he configured: %q, %v", out, err)
		}

		for _, text := range []string{
			"basic_auth_users:\n  prometheus: " + plainPassword + "\n", "basic_auth_users: " + plainPassword + "\n", "basic_auth_users:\n  prometheus: *" + plainPassword + "\n",
			"tls_server_config:\n  cert: " + plainPassword + "\n  key: " + plainPassword + "\n", "password: [" + plainPassword + "\n", "basic_auth_users:\n  prometheus: {" + plainPassword + ": x}\n",
		} {
			g.writeWeb(text)
			g.reload("was not taken over")
			out, _ := exec.Command(g.bin, "check", "-f", g.config, "--set", "metrics.web_config="+g.dir+"/web/web.yml").CombinedOutput()
			said.add("check", string(out))
		}
		stop()
		g.stop()
		said.add("start", g.refusesToStart())
		said.add("log", g.said())
		testkit.Must(t, filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
			if rel, _ := filepath.Rel(g.dir, path); err == nil && d.Type().IsRegular() && !strings.Contains(rel, "/") && rel != "pfwarden.toml" {
				text, err := os.ReadFile(path)
				said.add("file "+rel, string(text))
				return err
			}
			return err
		}))
		if n := said.by["arguments"].Len(); n < 1000 || !strings.Contains(said.by["arguments"].String(), "/bin/sh\x00") {
			t.Errorf("the commands were not seen to run: %d bytes", n)
		}
		secrets := []string{metricsPassword, guessedPassword, plainPassword, actionToken, smtpPassword, hookVariable, hash, hash[7:29], strings.Split(string(key), "\n")[1]}
		for where, text := range said.by {
			for _, secret := range secrets {
				if at := strings.Index(text.String(), secret); at >= 0 {
					t.Errorf("%s: %s can be read: …%q…", where, secret, text.String()[max(0, at-200):min(text.Len(), at+100)])
				}
			}
		}
	})
}

// asGroup runs a program as a user who has nothing but the group that may read from the control socket.
func asGroup(t *testing.T, g *gateway, program string, args ...string) string {
	t.Helper()
	out, _ := runAs(t, g, stranger, 0, program, args...)
	return out
}

// runAs runs a program as another user, and returns what it says and its exit status.
func runAs(t *testing.T, g *gateway, uid, gid uint32, program string, args ...string) (string, int) {
	t.Helper()
	real, err := filepath.EvalSymlinks(program)
	testkit.Must(t, err)
	for _, dir := range []string{filepath.Dir(g.dir), g.dir, filepath.Dir(filepath.Dir(real)), filepath.Dir(real)} {
		if info, err := os.Stat(dir); err == nil && strings.HasPrefix(dir, os.TempDir()+"/") {
			testkit.Must(t, os.Chmod(dir, info.Mode()|0o011)) // the way there: what lies in it has modes of its own
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "PFWARDEN_SOCKET="+g.socket, "PFWARDEN_CONFIG="+g.config)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%s as user %d: %v", program, uid, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
