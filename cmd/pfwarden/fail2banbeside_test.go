package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pfwarden/internal/config"
	"pfwarden/internal/daemon"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/debian"
	"pfwarden/internal/testkit/gateway"
)

// answer is what a program said, and its exit status.
type answer struct {
	Out  string `json:"out"`
	Err  string `json:"err"`
	Exit int    `json:"rc"`
}

// realFail2ban is Debian's fail2ban: one Python process that has loaded its programs and forks for each call of one.
type realFail2ban struct {
	t   testing.TB
	in  *json.Encoder
	out *bufio.Reader
}

// nursery is that process. A child's output goes into files, since a server that it starts keeps them open.
const nursery = `
import sys, os, json, tempfile
from fail2ban.client import fail2banclient, fail2banserver, fail2banregex
programs = {"fail2ban-client": fail2banclient.exec_command_line, "fail2ban-server": fail2banserver.exec_command_line}
for line in sys.stdin:
    ask = json.loads(line)
    files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        rc = 1
        try:
            os.dup2(files[0].fileno(), 1); os.dup2(files[1].fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.argv = [ask["program"]] + ask["args"]
            try:
                if ask["program"] in programs: programs[ask["program"]](sys.argv)
                else: fail2banregex.exec_command_line()
                rc = 0
            except SystemExit as e:
                rc = e.code or 0
            except BaseException as e:
                os.write(2, repr(e).encode())
        finally:
            try: sys.stdout.flush()
            finally: os._exit(rc if isinstance(rc, int) else 1)
    _, status = os.waitpid(pid, 0)
    said = []
    for f in files:
        f.seek(0); said.append(f.read().decode("utf-8", "replace"))
    print(json.dumps({"out": said[0], "err": said[1], "rc": os.waitstatus_to_exitcode(status)}), flush=True)
`

// startReal starts it, or skips the test where that is impossible.
func startReal(t testing.TB) (r *realFail2ban, root string) {
	t.Helper()
	root = debian.Fail2ban(t)
	cmd := debian.Python(t, root, "-W", "ignore", "-c", nursery)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Join(root, "usr/bin")+":"+os.Getenv("PATH"), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	r = &realFail2ban{t: t, in: json.NewEncoder(in), out: bufio.NewReader(out)}
	if a := r.run("fail2ban-client", "--version"); a.Exit != 0 || !strings.Contains(a.Out, "Fail2Ban v") {
		t.Skipf("the package's programs do not run here: %+v", a)
	}
	return r, root
}

func (r *realFail2ban) run(program string, args ...string) (a answer) {
	r.t.Helper()
	if args == nil {
		args = []string{}
	}
	if err := r.in.Encode(map[string]any{"program": program, "args": args}); err != nil {
		r.t.Fatal(err)
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		r.t.Fatalf("%s %q: %v", program, args, err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// ourFail2ban answers in its place.
func ourFail2ban(program string, args ...string) answer {
	var out, complaints bytes.Buffer
	err := run(context.Background(), append([]string{program}, args...), stdio{In: strings.NewReader(""), Out: &out, Err: &complaints})
	return answer{out.String(), complaints.String(), exitCode(err)}
}

// logged is the head of a line of fail2ban's own log.
var logged = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (fail2ban\S*) +\[\d+\]: `)

// moments are times of day, which two servers do not have alike.
var moments = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)

// timeless takes out of an answer what differs from call to call.
func timeless(a answer) answer {
	for _, s := range []*string{&a.Out, &a.Err} {
		*s = logged.ReplaceAllString(*s, "$1: ")
		*s = moments.ReplaceAllString(*s, "TIME")
		*s = strings.ReplaceAll(*s, `{1,4}::?|::){1,7}`, `{1,4}::?|:){1,7}`) // so since fail2ban 1.1
		if usage, _, ok := strings.Cut(*s, "\n"); ok && strings.HasPrefix(usage, "Usage: ") {
			*s = usage // each has words of its own after it
		}
	}
	return a
}

// startOurs runs the jails of a fail2ban folder in this process, over a PF in memory, and gives the control socket.
func startOurs(t testing.TB, dir string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	load := func() (*config.Config, error) { return gateway.Fail2ban(dir, socket), nil }
	c, err := load()
	testkit.Must(t, err)
	gateway.Start(t, daemon.Options{Config: c, Load: load, Runner: gateway.PF(t, c.PF.Anchor), Level: new(slog.LevelVar)})
	return socket
}
