package pftest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pfwarden/pfctl"
)

// Fault is something that goes wrong on demand.
type Fault string

// The faults. A number says how often a fault strikes, -1 always, unless it says something else.
const (
	FaultOpen      Fault = "open"      // /dev/pf cannot be opened; the number is the errno
	FaultNotRoot   Fault = "notroot"   // not root
	FaultOff       Fault = "off"       // somebody disables PF just before the run
	FaultBusy      Fault = "busy"      // somebody else is loading rules
	FaultHang      Fault = "hang"      // the run does not end, and changes nothing
	FaultKilled    Fault = "killed"    // the run is killed half-way: done or not, nobody knows
	FaultTableKill Fault = "tablekill" // somebody kills the tables of all anchors just before the run
	FaultRulesGone Fault = "rulesgone" // somebody flushes the rules of all anchors just before the run
	FaultNoCall    Fault = "nocall"    // somebody loads a main ruleset that does not call our anchor
	FaultNoise     Fault = "noise"     // noise on standard error
	FaultAddresses Fault = "addresses" // -s Tables tells a wrong number of addresses (FreeBSD 15)
	FaultLimit     Fault = "limit"     // the number is the limit of table entries
	FaultRequest   Fault = "request"   // the number is net.pf.request_maxcount
	FaultForeign   Fault = "foreign"   // somebody adds 203.0.113.66 to every table just before the run
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{FaultOpen, FaultNotRoot, FaultOff, FaultBusy, FaultHang, FaultKilled, FaultTableKill, FaultRulesGone, FaultNoCall,
		FaultNoise, FaultAddresses, FaultLimit, FaultRequest, FaultForeign}
}

// ParseFaults reads "busy:1,noise,limit:1000"; without a number a fault is there always.
func ParseFaults(s string) (map[Fault]int, error) {
	out := map[Fault]int{}
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		name, num, has := strings.Cut(part, ":")
		n := -1
		if has {
			var err error
			if n, err = strconv.Atoi(num); err != nil {
				return nil, fmt.Errorf("fault %q: %q is not a number", name, num)
			}
		}
		known := false
		for _, f := range Faults() {
			known = known || string(f) == name
		}
		if !known {
			return nil, fmt.Errorf("fault %q is not known; known are %v", name, Faults())
		}
		out[Fault(name)] = n
	}
	return out, nil
}

// errHang means that the run stays until it is killed.
var errHang = errors.New("hangs")

// Inject lets a fault strike n times, always if n is negative, never again if n is 0.
func (pf *PF) Inject(f Fault, n int) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	pf.inject(f, n)
}

func (pf *PF) inject(f Fault, n int) {
	switch f {
	case FaultLimit:
		pf.limit, pf.limitSet = n, true
		pf.wake()
	case FaultRequest:
		if pf.prof.RequestMax > 0 {
			pf.requestMax = n
		}
	default:
		if n == 0 {
			delete(pf.faults, f)
		} else {
			pf.faults[f] = n
		}
		if f == FaultHang && n == 0 {
			pf.wake()
		}
	}
}

// strike reports whether a fault is due now, and counts it.
func (pf *PF) strike(f Fault) bool {
	n := pf.faults[f]
	if n == 0 {
		return false
	}
	if n > 0 {
		if n--; n == 0 {
			delete(pf.faults, f)
		} else {
			pf.faults[f] = n
		}
	}
	return true
}

// faultsBefore lets the faults strike that do so before a run. killed says that the run dies in its middle.
func (pf *PF) faultsBefore(c *call, cmd pfctl.Command) (killed bool, err error) {
	if len(pf.faults) == 0 {
		return false, nil
	}
	changes := changesTables(cmd.Args)
	if pf.strike(FaultNoise) {
		c.err.WriteString("No ALTQ support in kernel\nALTQ related functions disabled\npfctl: warning: something else is worth a line\n")
	}
	if pf.strike(FaultOff) {
		pf.enabled = false
	}
	if changes && pf.strike(FaultTableKill) {
		for path, rs := range pf.sets {
			for _, t := range rs.tables {
				if path != "" {
					t.kill()
				}
			}
		}
		pf.settle()
		pf.wake()
	}
	if changes && pf.strike(FaultRulesGone) {
		for path, rs := range pf.sets {
			if path != "" {
				rs.rules = nil
			}
		}
		pf.recount()
	}
	if pf.strike(FaultNoCall) {
		pf.sets[""].rules = []*rule{{Action: "pass", Flags: "S/SA", State: "keep"}}
		pf.recount()
	}
	if changes && pf.strike(FaultForeign) {
		list, _ := pf.parseAddress("203.0.113.66", true)
		for path, rs := range pf.sets {
			for _, t := range rs.tables {
				if path != "" && t.active && t.all()[list[0].key] == nil {
					t.insert(pf.newEntry(t, list[0], pf.now()))
				}
			}
		}
	}
	if (changes || len(cmd.Stdin) > 0) && pf.strike(FaultHang) {
		return false, errHang
	}
	if changes && pf.faults[FaultKilled] != 0 {
		n := pf.faults[FaultKilled]
		pf.strike(FaultKilled)
		if n%2 == 0 { // killed before its ioctl
			return false, fmt.Errorf("pf in memory: %w", pfctl.ErrKilled)
		}
		if step := pf.prof.NetlinkAdds; step > 0 { // killed between two messages
			c.stopAfter = step
		}
		return true, nil
	}
	return false, nil
}

// changesTables tells runs that change addresses from others.
func changesTables(args []string) bool {
	for i, a := range args {
		if a == "-T" && i+1 < len(args) {
			switch args[i+1] {
			case "add", "delete", "replace", "flush":
				return true
			}
		}
	}
	return false
}
