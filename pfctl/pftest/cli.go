package pftest

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pfwarden/pfctl"
)

// Getenv reads an environment variable.
type Getenv func(string) string

// The environment of the executables.
const (
	EnvState     = "PFTEST_STATE"      // folder that holds the PF
	EnvProfile   = "PFTEST_PROFILE"    // a name of Profiles
	EnvFaults    = "PFTEST_FAULTS"     // faults, see ParseFaults; taken whenever the text changes. The file "faults" in the folder does the same
	EnvOpenErrno = "PFTEST_OPEN_ERRNO" // opening /dev/pf fails with this errno
	EnvIfs       = "PFTEST_IFS"        // interfaces: em0=192.0.2.1/24,2001:db8::1/64;lo0=127.0.0.1/8
	EnvLog       = "PFTEST_LOG"        // file to which every run of pfctl is appended: when it had read its standard input, arguments, addresses on it
)

// OpenEnv opens the PF that the environment names.
func OpenEnv(env Getenv) (*Store, error) {
	prof, err := ProfileByName(env(EnvProfile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", EnvProfile, err)
	}
	opts := []Option{WithZone(time.Local)}
	if text := env(EnvIfs); text != "" {
		ifs, err := parseIfs(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", EnvIfs, err)
		}
		opts = append(opts, WithInterfaces(ifs))
	}
	s, err := Open(env(EnvState), prof, opts...)
	if err != nil {
		return nil, err
	}
	if err := s.takeFaults(env); err != nil {
		return nil, err
	}
	return s, nil
}

func parseIfs(text string) ([]Iface, error) {
	var out []Iface
	for part := range strings.SplitSeq(text, ";") {
		name, list, _ := strings.Cut(part, "=")
		i := Iface{Name: name}
		for a := range strings.SplitSeq(list, ",") {
			p, err := netip.ParsePrefix(a)
			if err != nil {
				return nil, err
			}
			i.Addrs = append(i.Addrs, p)
		}
		out = append(out, i)
	}
	return out, nil
}

// takeFaults takes over the faults of the environment and of the folder's file, once for each text.
func (s *Store) takeFaults(env Getenv) error {
	text := env(EnvFaults)
	if data, err := os.ReadFile(filepath.Join(s.dir, "faults")); err == nil {
		text += "," + string(data)
	}
	if text != s.FaultText {
		faults, err := ParseFaults(text)
		if err != nil {
			return fmt.Errorf("%s: %w", EnvFaults, err)
		}
		clear(s.PF.faults)
		for f, n := range faults {
			s.PF.inject(f, n)
		}
		s.FaultText = text
	}
	if v := env(EnvOpenErrno); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("%s: %w", EnvOpenErrno, err)
		}
		s.PF.openErrno = n
	}
	return nil
}

// reads says whether a command line only reads, so that nothing need be written.
func reads(args []string) bool {
	read := false
	for i, a := range args {
		switch {
		case a == "-s" || strings.HasPrefix(a, "-s"):
			read = true
		case a == "-T" && i+1 < len(args):
			if args[i+1] != "show" && args[i+1] != "test" {
				return false
			}
			read = true
		case strings.HasPrefix(a, "-n"):
			return true
		case a == "-f", a == "-F", a == "-k", a == "-K", a == "-e", a == "-d", a == "-z":
			return false
		case strings.HasPrefix(a, "-") && a != "-a" && a != "-t" && a != "-v" && a != "-vv" && a != "-q":
			return false
		}
	}
	return read
}

// PfctlMain is the executable pfctl: one run against the PF of the environment. killSelf is called where a fault kills the process.
func PfctlMain(args []string, env Getenv, stdin io.Reader, stdout, stderr io.Writer, killSelf func()) int {
	var input []byte
	for i, a := range args {
		if a == "-f" && i+1 < len(args) && args[i+1] == "-" || strings.HasPrefix(a, "-") && strings.HasSuffix(a, "f-") ||
			a == "-nf" && i+1 < len(args) && args[i+1] == "-" {
			data, err := io.ReadAll(stdin)
			if err != nil {
				fmt.Fprintf(stderr, "pfctl: %v\n", err)
				return 1
			}
			input = data
			break
		}
	}
	cmd := pfctl.Command{Args: args, Stdin: input}
	for at := time.Now(); ; at = time.Now() { // what it is to do is known here
		s, err := OpenEnv(env)
		if err != nil {
			fmt.Fprintf(stderr, "pftest: %v\n", err)
			return 70
		}
		logRun(env, at, cmd)
		faulty := len(s.PF.faults) > 0
		res, err := s.PF.run(cmd)
		wait := err == errWait || err == errHang
		killed := err != nil && !wait
		if err := s.Close(faulty || !wait && !reads(args)); err != nil {
			fmt.Fprintf(stderr, "pftest: %v\n", err)
			return 70
		}
		switch {
		case err == errHang:
			for { // until somebody kills us
				time.Sleep(time.Hour)
			}
		case err == errWait:
			time.Sleep(20 * time.Millisecond)
			continue
		case killed:
			killSelf()
			return 137
		}
		stdout.Write(res.Stdout)
		stderr.Write(res.Stderr)
		return res.Exit
	}
}

// logRun appends a line about a run that began at a time.
func logRun(env Getenv, at time.Time, cmd pfctl.Command) {
	path := env(EnvLog)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "%d\t%s\t%d\n", at.UnixNano(), strings.Join(cmd.Args, " "), strings.Count(string(cmd.Stdin), "\n"))
}

const pfpktUsage = `usage: pfpkt in|out 4|6 SRC DST PROTO SPORT DPORT LENGTH TCPFLAGS COUNT
       pfpkt time +SECONDS
       pfpkt securelevel N
       pfpkt fault NAME[:COUNT][,...]
`

// packetTime is how long PF's clock takes for one run of pfpkt: packets do not come in no time.
const packetTime = 100 * time.Millisecond

// PfpktMain is the executable pfpkt: packets through the PF of the environment, its clock, its securelevel, its faults.
func PfpktMain(args []string, env Getenv, stdout, stderr io.Writer) int {
	usage := func() int {
		io.WriteString(stderr, pfpktUsage)
		return 2
	}
	if len(args) < 2 {
		return usage()
	}
	s, err := OpenEnv(env)
	if err != nil {
		fmt.Fprintf(stderr, "pfpkt: %v\n", err)
		return 1
	}
	code := s.pkt(args, stdout, stderr, usage)
	if err := s.Close(code == 0); err != nil {
		fmt.Fprintf(stderr, "pfpkt: %v\n", err)
		return 1
	}
	return code
}

func (s *Store) pkt(args []string, stdout, stderr io.Writer, usage func() int) int {
	switch args[0] {
	case "time":
		n, err := strconv.ParseFloat(args[1], 64)
		if err != nil {
			return usage()
		}
		s.PF.Advance(time.Duration(n * float64(time.Second)))
		return 0
	case "securelevel":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return usage()
		}
		s.PF.SetSecurelevel(n)
		return 0
	case "fault":
		faults, err := ParseFaults(args[1])
		if err != nil {
			fmt.Fprintf(stderr, "pfpkt: %v\n", err)
			return 2
		}
		for f, n := range faults {
			s.PF.Inject(f, n)
		}
		return 0
	case "in", "out":
		p, ok := parsePacket(args)
		if !ok {
			return usage()
		}
		s.PF.Advance(packetTime)
		pass, drop := s.PF.Packet(p)
		fmt.Fprintf(stdout, "pass=%d drop=%d\n", pass, drop)
		return 0
	}
	return usage()
}

func parsePacket(args []string) (Packet, bool) {
	if len(args) != 10 {
		return Packet{}, false
	}
	src, err1 := netip.ParseAddr(args[2])
	dst, err2 := netip.ParseAddr(args[3])
	if err1 != nil || err2 != nil || src.Is4() != dst.Is4() || src.Is4() != (args[1] == "4") {
		return Packet{}, false
	}
	var n [6]int
	for i, a := range args[4:] {
		v, err := strconv.Atoi(a)
		if err != nil || v < 0 {
			return Packet{}, false
		}
		n[i] = v
	}
	if n[0] > 255 || n[1] > 65535 || n[2] > 65535 {
		return Packet{}, false
	}
	if n[5] == 0 {
		return Packet{}, false
	}
	return Packet{Out: args[0] == "out", Src: src, Dst: dst, Proto: n[0], SPort: uint16(n[1]), DPort: uint16(n[2]), Length: n[3], Flags: n[4], Count: n[5]}, true
}
