package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"pfwarden/internal/testkit/home"
)

// figures are what is measured of both.
type figures struct {
	single, slowest   time.Duration // from the log line to pfctl
	burst, burstWhole time.Duration // until all are in the table, from the first run of pfctl and from the log line
}

// startLimit bounds waiting for anything.
const startLimit = 3 * time.Minute

// startOurs starts pfwarden over a host and waits until it answers.
func (b *bench) startOurs(h *host) error {
	config := filepath.Join(h.dir, "pfwarden.toml")
	gateway := home.Home{Dir: h.dir}
	text := fmt.Sprintf("[pf]\npfctl = %q\n", b.pfctl) + gateway.TOML() + fmt.Sprintf(`level = "error"
[defaults]
maxretry = 1
ladder = ["1h"]
[portscan]
enabled = false
[jail.sshd]
logs = [%q]
`, h.log)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	args := []string{"run", "-f", config}
	if h.one {
		args = append(args, "--single-process")
	}
	h.daemon = exec.Command(b.pfwarden, args...)
	h.daemon.Env, h.daemon.Stderr = h.env(), os.Stderr
	if err := h.daemon.Start(); err != nil {
		return err
	}
	return h.answers(exec.Command(b.pfwarden, "--socket", gateway.Socket(), "never", "list"))
}

// startTheirs starts fail2ban over a host, with the same filter and PF.
func (b *bench) startTheirs(h *host) error {
	conf := filepath.Join(h.dir, "fail2ban")
	if out, err := exec.Command("cp", "-r", filepath.Join(b.fail2ban, "etc/fail2ban"), conf).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if err := os.RemoveAll(filepath.Join(conf, "jail.d")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(conf, "jail.d"), 0o700); err != nil {
		return err
	}
	jail := fmt.Sprintf(`[DEFAULT]
backend = polling
[sshd]
enabled = true
maxretry = 1
findtime = 600
bantime = 3600
logpath = %s
action = pf[name=sshd, pfctl="%s -a f2b/sshd", actiontype=<allports>]
`, h.log, b.pfctl)
	if err := os.WriteFile(filepath.Join(conf, "jail.d", "bench.conf"), []byte(jail), 0o600); err != nil {
		return err
	}
	common := []string{"-c", conf, "-s", filepath.Join(h.dir, "s"), "-p", filepath.Join(h.dir, "pid")}
	h.daemon = exec.Command("python3", append(append([]string{filepath.Join(b.fail2ban, "usr/bin/fail2ban-server")}, common...),
		"--logtarget", filepath.Join(h.dir, "f2b.log"), "-f", "start")...)
	h.daemon.Env = h.env()
	if err := h.daemon.Start(); err != nil {
		return err
	}
	return h.answers(exec.Command("python3", append(append([]string{filepath.Join(b.fail2ban, "usr/bin/fail2ban-client")}, common...), "status", "sshd")...))
}

// answers repeats a command until it succeeds.
func (h *host) answers(cmd *exec.Cmd) error {
	var err error
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		try := exec.Command(cmd.Args[0], cmd.Args[1:]...)
		try.Env = h.env()
		if err = try.Run(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the daemon does not answer: %w", err)
}

// measure takes single bans and a burst.
func (b *bench) measure(start func(*host) error, ours bool) (f figures, err error) {
	table, main := []string{"-a", "pfwarden", "-t", "banned"}, "anchor \"pfwarden\"\npass all\n"
	if !ours {
		table, main = []string{"-a", "f2b/sshd", "-t", "f2b-sshd"}, "anchor \"f2b/*\"\npass all\n"
	}
	h, err := b.newHost(table, main)
	if err != nil {
		return f, err
	}
	defer h.close()
	if err := start(h); err != nil {
		return f, err
	}
	var took []time.Duration
	for i := range b.singles {
		d, err := h.single(i)
		if err != nil {
			return f, err
		}
		took = append(took, d)
		time.Sleep(300*time.Millisecond + time.Duration(i%7)*41*time.Millisecond) // as single bans come: not in step with anybody's clock
	}
	f.single, f.slowest = quantile(took, 50), quantile(took, 100)
	time.Sleep(2 * time.Second)
	from := len(h.notes)
	at, err := h.attack(b.singles, b.burst)
	if err != nil {
		return f, err
	}
	first, last, err := h.await(from, b.burst, startLimit)
	if err != nil {
		return f, err
	}
	if got := h.inTable(); got != b.singles+b.burst {
		return f, fmt.Errorf("the table holds %d addresses, want %d", got, b.singles+b.burst)
	}
	f.burst, f.burstWhole = last.Sub(first).Round(time.Millisecond), last.Sub(at).Round(time.Millisecond)
	return f, nil
}

// measureMany takes very many bans at once.
func (b *bench) measureMany() (time.Duration, error) {
	h, err := b.newHost([]string{"-a", "pfwarden", "-t", "banned"}, "anchor \"pfwarden\"\npass all\n")
	if err != nil {
		return 0, err
	}
	defer h.close()
	if err := b.startOurs(h); err != nil {
		return 0, err
	}
	return h.ban(b.many)
}

// ban attacks from n addresses at once and waits until all are in the table.
func (h *host) ban(n int) (time.Duration, error) {
	at, err := h.attack(0, n)
	if err != nil {
		return 0, err
	}
	_, last, err := h.await(len(h.notes), n, startLimit)
	if err != nil {
		return 0, err
	}
	if got := h.inTable(); got != n {
		return 0, fmt.Errorf("the table holds %d addresses, want %d", got, n)
	}
	return last.Sub(at).Round(time.Millisecond), nil
}

// measureRestart starts over a full ledger: once PF kept its table, once it lost it, as at a reboot.
func (b *bench) measureRestart() error {
	h, err := b.newHost([]string{"-a", "pfwarden", "-t", "banned"}, "anchor \"pfwarden\"\npass all\n")
	if err != nil {
		return err
	}
	defer h.close()
	if err := b.startOurs(h); err != nil {
		return err
	}
	if _, err := h.ban(b.restart); err != nil {
		return err
	}
	h.end(syscall.SIGTERM)
	began := time.Now()
	if err := b.startOurs(h); err != nil {
		return err
	}
	took := time.Since(began).Round(time.Millisecond)
	if got := h.inTable(); got != b.restart {
		return fmt.Errorf("after a restart the table holds %d addresses, want %d", got, b.restart)
	}
	fmt.Printf("pfwarden: restart with %d bans, PF has them: compared and answering after %v\n", b.restart, took)
	b.promise("a restart", took, promiseRestart)

	h.end(syscall.SIGTERM)
	if err := h.pfctl("", "-a", "pfwarden", "-t", "banned", "-T", "flush"); err != nil {
		return err
	}
	if err := h.follow(); err != nil {
		return err
	}
	from := len(h.notes)
	began = time.Now()
	if err := b.startOurs(h); err != nil {
		return err
	}
	_, last, err := h.await(from, b.restart, startLimit)
	if err != nil {
		return err
	}
	if got := h.inTable(); got != b.restart {
		return fmt.Errorf("after a reboot the table holds %d addresses, want %d", got, b.restart)
	}
	took = last.Sub(began).Round(time.Millisecond)
	fmt.Printf("pfwarden: restart with %d bans, PF has lost them: all in the table after %v\n", b.restart, took)
	b.promise("a restart with an empty table", took, promiseRestart)
	return nil
}
