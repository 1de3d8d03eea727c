package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// options of one soak.
type options struct {
	profile  string
	duration time.Duration
	seed     uint64
	verbose  bool
}

// report is what a soak saw.
type report struct {
	bans, unbans, refused, foreign int
	faults                         map[pftest.Fault]int // how often each was let strike
	worst                          float64              // table runs at most in any window, as a part of what the budget allows
	looks, neverSeen               int                  // looks into the tables while it ran, and never-listed addresses seen in them
	desired, lost, extra           int                  // at the end: what the tables should hold, what of it is missing, what is there besides
	stats                          pfctl.Stats
}

// verdict says in one line what a soak must show: that the tables hold what they should, that no never-listed address was ever in
// them, that none was lost, and how much of their budget the table runs used where it was tightest.
func (r report) verdict() string {
	same := "tables equal the desired set"
	if r.lost+r.extra > 0 {
		same = "tables differ from the desired set"
	}
	return fmt.Sprintf("%s (%d addresses; %d lost, %d left over); never-listed seen %d times in %d looks; table runs used %.2f of their budget (%d at once, one more every %v)",
		same, r.desired, r.lost, r.extra, r.neverSeen, r.looks, r.worst, burst, refill)
}

const anchor = "pfwarden"

// The budget of table runs that the driver promises: so many at once, and one more each time.
const (
	burst  = 4
	refill = 250 * time.Millisecond
)

// watcher is a runner that looks over the driver's shoulder: it ends runs that hang, notes table runs, and looks for addresses in
// the tables that must never be there.
type watcher struct {
	pf    *pftest.PF
	never map[string]bool

	mu     sync.Mutex
	runs   []time.Time
	looks  int // how often the tables were looked at
	seen   int // never-listed addresses seen in them
	broken []string
}

const hangTime = 150 * time.Millisecond

// Run passes a run on and checks what it left behind.
func (w *watcher) Run(ctx context.Context, c pfctl.Command) (pfctl.Result, error) {
	table := slices.Contains(c.Args, "-T") && !slices.Contains(c.Args, "-s")
	if table {
		w.mu.Lock()
		w.runs = append(w.runs, time.Now())
		w.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(ctx, hangTime)
	defer cancel()
	res, err := w.pf.Run(ctx, c)
	if table {
		w.check()
	}
	return res, err
}

// check looks for addresses that may be in our tables at no time: those of the never-list, and networks that would take everything in.
func (w *watcher) check() {
	w.mu.Lock()
	w.looks++
	w.mu.Unlock()
	for _, name := range []string{"banned", "suspects"} {
		list, _ := w.pf.Addresses(anchor, name)
		for _, a := range list {
			if p, err := netip.ParsePrefix(a); !w.never[a] && (err != nil || p.Bits() >= 16) {
				continue
			}
			w.mu.Lock()
			w.seen++
			w.broken = append(w.broken, fmt.Sprintf("never-listed %s was in <%s>", a, name))
			w.mu.Unlock()
		}
	}
}

// overBudget returns the fullest window of table runs against the allowed burst and rate.
func (w *watcher) overBudget(burst int, per time.Duration) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	worst := 0.0
	for i := range w.runs {
		for j := i; j < len(w.runs) && w.runs[j].Sub(w.runs[i]) < 10*time.Second; j++ {
			allowed := float64(burst) + float64(w.runs[j].Sub(w.runs[i]))/float64(per) + 1 // a run starts a little after its token
			worst = max(worst, float64(j-i+1)/allowed)
		}
	}
	return worst
}

// soak lets a driver work against a PF in which everything goes wrong, and compares it with a model at the end.
func soak(ctx context.Context, o options, log *slog.Logger) (report, error) {
	pf, err := pftest.NewGateway(o.profile, anchor)
	if err != nil {
		return report{}, err
	}
	s := &session{rng: rand.New(rand.NewPCG(o.seed, 1)), pf: pf, model: map[pfctl.Table]map[netip.Prefix]bool{pfctl.Banned: {}, pfctl.Suspects: {}}, o: o}
	s.r.faults = map[pftest.Fault]int{}
	s.w = &watcher{pf: pf, never: map[string]bool{}}
	for i := range 16 {
		s.w.never[fmt.Sprintf("192.0.2.%d", i)] = true
	}
	for _, a := range []string{"127.0.0.1", "::1", "224.0.0.1", "0.0.0.0"} {
		s.w.never[a] = true
	}
	s.d, err = pfctl.New(pfctl.Config{Anchor: anchor, KillStates: true, Reconcile: 2 * time.Second, Refuse: func(p netip.Prefix) string {
		if p.Addr().Is4() && netip.MustParsePrefix("192.0.2.0/28").Overlaps(p) {
			return "never-listed"
		}
		return ""
	}}, s.w, log, pfctl.SystemClock{})
	if err != nil {
		return report{}, err
	}
	if err := s.d.Start(ctx, nil); err != nil {
		return report{}, err
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.d.Run(run) }()
	s.work(ctx)
	err = s.quiesce(ctx)
	stop()
	<-ended
	s.r.stats = s.d.Stats()
	s.r.worst = s.w.overBudget(burst, refill)
	s.r.looks, s.r.neverSeen = s.w.looks, s.w.seen
	if s.r.worst > 1 {
		err = errors.Join(err, fmt.Errorf("table runs were %.2f of their budget", s.r.worst))
	}
	for _, b := range s.w.broken {
		err = errors.Join(err, errors.New(b))
	}
	return s.r, err
}

type session struct {
	rng   *rand.Rand
	pf    *pftest.PF
	w     *watcher
	d     *pfctl.Driver
	model map[pfctl.Table]map[netip.Prefix]bool
	r     report
	o     options
}

func (s *session) table() pfctl.Table {
	if s.rng.IntN(3) == 0 {
		return pfctl.Suspects
	}
	return pfctl.Banned
}

func (s *session) prefix() netip.Prefix {
	if s.rng.IntN(8) == 0 {
		p, _ := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(s.rng.IntN(4)), byte(s.rng.IntN(256)), byte(s.rng.IntN(8))}).Prefix(64)
		return p
	}
	a := netip.AddrFrom4([4]byte{198, byte(18 + s.rng.IntN(2)), byte(s.rng.IntN(32)), byte(s.rng.IntN(256))})
	if s.rng.IntN(20) == 0 {
		p, _ := a.Prefix(24)
		return p
	}
	return netip.PrefixFrom(a, 32)
}

// work does something random every few milliseconds until the time is over.
func (s *session) work(ctx context.Context) {
	end := time.Now().Add(s.o.duration)
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.act(ctx)
		}
	}
}

func (s *session) act(ctx context.Context) {
	switch n := s.rng.IntN(1000); {
	case n < 500:
		t := s.table()
		var list []pfctl.Entry
		for range 1 + s.rng.IntN(6) {
			p := s.prefix()
			list = append(list, pfctl.Entry{Table: t, Prefix: p, KillStates: t == pfctl.Banned})
			s.model[t][p] = true
			s.r.bans++
		}
		if err := s.d.Add(list...); err != nil {
			s.w.broken = append(s.w.broken, err.Error())
		}
	case n < 860:
		t := s.table()
		k := 1 + s.rng.IntN(8)
		for p := range s.model[t] { // a random few: maps have no order
			delete(s.model[t], p)
			if err := s.d.Delete(pfctl.Entry{Table: t, Prefix: p}); err != nil {
				s.w.broken = append(s.w.broken, err.Error())
			}
			s.r.unbans++
			if k--; k == 0 {
				break
			}
		}
	case n < 900:
		for _, text := range []string{"192.0.2.3/32", "192.0.2.0/24", "0.0.0.0/0", "::/0", "127.0.0.1/32", "224.0.0.1/32"} {
			if err := s.d.Add(pfctl.Entry{Table: pfctl.Banned, Prefix: netip.MustParsePrefix(text)}); !errors.Is(err, pfctl.ErrRefused) {
				s.w.broken = append(s.w.broken, text+" was taken")
			}
			s.r.refused++
		}
	case n < 960:
		if _, err := s.d.Counters(ctx, time.Second); err != nil && s.o.verbose {
			fmt.Println("counters:", err)
		}
		s.packets()
	case n < 963:
		s.fault()
	case n < 966:
		s.administrator(ctx)
	}
}

func (s *session) packets() {
	for range 20 {
		s.pf.Packet(pftest.Packet{
			Out: s.rng.IntN(4) == 0, Src: s.prefix().Addr(), Dst: netip.MustParseAddr("192.0.2.1"), Proto: 6,
			SPort: uint16(s.rng.IntN(60000)), DPort: 22, Length: 60, Flags: 2,
		})
	}
}

func (s *session) fault() {
	all := pftest.Faults()
	f := all[s.rng.IntN(len(all))]
	n := 1 + s.rng.IntN(2)
	switch f {
	case pftest.FaultOpen:
		n = []int{0, 2, 13, 16}[s.rng.IntN(4)]
		if n != 0 {
			time.AfterFunc(time.Duration(s.rng.IntN(800))*time.Millisecond, func() { s.pf.Inject(pftest.FaultOpen, 0) })
		}
	case pftest.FaultNotRoot, pftest.FaultAddresses, pftest.FaultNoise:
		time.AfterFunc(time.Duration(s.rng.IntN(800))*time.Millisecond, func() { s.pf.Inject(f, 0) })
		n = -1
	case pftest.FaultLimit:
		n = 1000 + s.rng.IntN(20000)
	case pftest.FaultRequest:
		n = 100 + s.rng.IntN(70000)
	case pftest.FaultBusy:
		n = 1 + s.rng.IntN(3)
	}
	s.pf.Inject(f, n)
	s.r.faults[f]++
}

// administrator does what people and other programs do to PF.
func (s *session) administrator(ctx context.Context) {
	commands := []string{
		"-f - < anchor \"pfwarden\";pass all", "-a pfwarden -f - < table <banned> persist;table <suspects> persist;block from <banned>;block from <suspects>",
		"-a pfwarden -f - < block from 198.18.7.7", "-k 198.18.0.0/15", "-a * -s rules",
		"-a pfwarden -F Tables", "-a pfwarden -F rules", "-a pfwarden -F all", "-F all", "-a pfwarden -t banned -T flush", "-a pfwarden -t suspects -T kill",
		"-a pfwarden -t banned -T expire 1", "-a pfwarden -t banned -T zero", "-d", "-e", "-F states",
		"-a pfwarden -t banned -T add 198.18.3.3", "-a pfwarden -t banned -T delete 198.18.0.0/24 198.18.1.7", "-a pfwarden -t banned -T replace 203.0.113.99",
	}
	c, in, _ := strings.Cut(commands[s.rng.IntN(len(commands))], " < ")
	ctx, cancel := context.WithTimeout(ctx, hangTime)
	defer cancel()
	if _, err := s.pf.Run(ctx, pfctl.Command{Args: strings.Fields(c), Stdin: []byte(strings.ReplaceAll(in, ";", "\n") + "\n")}); err != nil && s.o.verbose {
		fmt.Println(c, err)
	}
	s.r.foreign++
}

// quiesce ends all faults, gives the driver a moment, and compares.
func (s *session) quiesce(ctx context.Context) error {
	for _, f := range pftest.Faults() {
		switch f {
		case pftest.FaultLimit:
			s.pf.SetLimit(200000)
		case pftest.FaultRequest:
			s.pf.SetRequestMax(65535)
		default:
			s.pf.Inject(f, 0)
		}
	}
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	for try := range 40 {
		err = s.d.ReconcileNow(deadline)
		if err == nil {
			err = s.d.Sync(deadline)
		}
		if err == nil {
			if err = s.compare(); err == nil {
				return nil
			}
		}
		if s.o.verbose {
			fmt.Println("not yet:", try, err)
		}
		select {
		case <-deadline.Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
	return err
}

// compare says in what the tables differ from the model. What was never ours may be there too.
func (s *session) compare() error {
	var errs []error
	s.r.desired, s.r.lost, s.r.extra = 0, 0, 0
	for part, want := range s.model {
		name := string(part)
		s.r.desired += len(want)
		list, ok := s.pf.Addresses(anchor, name)
		if !ok {
			s.r.lost += len(want)
			errs = append(errs, fmt.Errorf("table <%s> is not there", name))
			continue
		}
		got := map[string]bool{}
		for _, a := range list {
			got[a] = true
		}
		for p := range want {
			text := p.String()
			if p.IsSingleIP() {
				text = p.Addr().String()
			}
			if !got[text] {
				s.r.lost++
				errs = append(errs, fmt.Errorf("%s is lost from <%s>", text, name))
			}
			delete(got, text)
		}
		for a := range got {
			if a != "203.0.113.66" && a != "203.0.113.99" && a != "198.18.3.3" {
				s.r.extra++
				errs = append(errs, fmt.Errorf("%s is in <%s> and should not be", a, name))
			}
		}
		if len(errs) > 10 {
			errs = errs[:10]
		}
	}
	return errors.Join(errs...)
}
