package privsep

import (
	"slices"
	"strings"
)

// Policy is what is left to a process on a system that takes promises: pledge(2) and unveil(2) of OpenBSD. It is worked out here, for all systems
// alike, so that it can be tested on any; confine_openbsd.go carries it out.
type Policy struct {
	Promises string    // of pledge(2), in the order in which they are explained
	Visible  []Visible // of unveil(2)
}

// Visible is a path that stays visible, and what for: r, w, x, c as in unveil(2).
type Visible struct{ Path, Rights string }

// GuardNeeds are what the privileged process of a configuration needs beyond its settings.
type GuardNeeds struct {
	Program string // this one: it is started again as the worker and others
	Syslog  bool   // the log goes to syslogd(8)
	Journal string // written by the worker, opened by us; "" = none
	Socket  string // of control, taken away at the end; "" = none
}

// guardPolicy is the privileged process's: it opens logs and hands them over, runs pfctl(8) and this program, and looks at the routing table for what
// is never banned. folders are those of its logs (Narrow). What it runs has all its rights again: no promises are made for programs.
func guardPolicy(s *Settings, n GuardNeeds, folders []string) Policy {
	p := promises{"stdio"}
	p.add("rpath")        // logs, the pflog file, /etc/resolv.conf
	p.add("sendfd")       // hands descriptors over
	p.add("proc", "exec") // fork(2), setpgid(2), kill(2) of children; pfctl(8), this program
	p.add("unix")         // getsockname(2), getpeername(2) and getsockopt(2) of the worker's socket; connect(2) once syslogd(8) was started anew
	v := visible{{"/dev/null", "rw"}, {s.Pfctl, "x"}, {n.Program, "x"}}
	for _, f := range folders {
		v.add(f, "r")
	}
	if s.NeverDefaults {
		p.add("route") // sysctl(2) of addresses and routes, nothing that changes them
		v.add("/etc/resolv.conf", "r")
	}
	if s.Interface != "" {
		v.add("/dev/bpf", "r") // opened by us, bound and locked by a child, since pledge(2) lets nobody bind it
	}
	if n.Syslog {
		v.add("/dev/log", "w")
	}
	if n.Socket != "" || n.Journal != "" {
		p.add("cpath")
	}
	if n.Socket != "" {
		v.add(n.Socket, "c")
	}
	if n.Journal != "" {
		p.add("wpath")
		v.add(n.Journal, "rwc") // its beginning is looked at
	}
	return Policy{p.String(), v}
}

// WorkerNeeds are what a worker of a configuration needs.
type WorkerNeeds struct {
	Memory    uint64 // the most that it may allocate, in bytes; 0 = the system's limit
	Store     bool   // it keeps a ledger in its folder
	Interface bool   // it reads bpf(4)
	Routes    bool   // it asks what belongs to this machine
}

// workerPolicy is the worker's, whose root is its own folder (chroot). It can neither fork nor run a program, nor hand descriptors over.
func workerPolicy(n WorkerNeeds) Policy {
	p := promises{"stdio"}
	p.add("rpath")        // /etc/resolv.conf and /etc/hosts, as they were copied into its folder
	p.add("inet", "unix") // names, /metrics, the control socket, the socket to the process that runs commands
	p.add("recvfd")       // logs, bpf(4), pipes of pfctl(8)
	if n.Store {
		p.add("wpath", "cpath", "fattr", "flock") // SQLite's files, fchmod(2) of them, and fcntl(2)'s locks
	}
	if n.Routes {
		p.add("route")
	}
	if n.Interface {
		p.add("bpf") // BIOCGSTATS, the only ioctl(2) of bpf(4) that it needs or may have
	}
	v := visible{{"/", "r"}}
	if n.Store {
		v = visible{{"/", "rwc"}, {"/etc", "r"}}
	}
	return Policy{p.String(), v}
}

// hooksPolicy is that of the process that runs commands. What it runs is confined by nothing of ours: those commands are the administrator's.
// All of them are texts for /bin/sh. log is fail2ban's log, "" = none.
func hooksPolicy(log string) Policy {
	p := promises{"stdio"}
	p.add("proc", "exec")   // fork(2), setsid(2), kill(2) of what was started
	p.add("rpath", "wpath") // /dev/null, fail2ban's log
	v := visible{{"/dev/null", "rw"}, {"/bin/sh", "x"}}
	if log != "" {
		p.add("cpath")
		v.add(log, "rwc")
	}
	return Policy{p.String(), v}
}

type promises []string

func (p *promises) add(names ...string) { *p = append(*p, names...) }

// String is what pledge(2) takes.
func (p promises) String() string { return strings.Join(p, " ") }

type visible []Visible

// add adds rights to a path. One that is there twice has those of both.
func (v *visible) add(path, rights string) {
	for i := range *v {
		if (*v)[i].Path != path {
			continue
		}
		for _, r := range rights {
			if !strings.ContainsRune((*v)[i].Rights, r) {
				(*v)[i].Rights += string(r)
			}
		}
		return
	}
	*v = append(slices.Clip(*v), Visible{path, rights})
}
