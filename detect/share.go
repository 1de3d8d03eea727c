package detect

// share is what one jail says of one source.
type share struct {
	jail         int     // -1 = the packet jail
	own, sum     float64 // fraction of the jail's threshold: all, and what enters the sum over jails
	provenOwn    float64
	provenSum    float64
	failures     int
	allProven    bool
	guesser      int     // takes part in distributed guessing: what each failure weighs; 0 = does not
	tried        float64 // fraction of the user names that make slow guessing, which enters no sum
	byNames      bool    // own is full by these …
	names        float64 // … of which so many judge
	limit        limit   // packet jail
	first, last  int64
	bits4, bits6 int
}

// count returns the jail's share at time now.
func (js *jailState) count(j *JailConfig, now int64) share {
	sh := share{jail: js.jail, allProven: true, failures: js.failures, bits4: j.Prefix4, bits6: j.Prefix6}
	newest := now
	if n := len(js.hits); n > 0 {
		newest = max(newest, js.hits[n-1].at)
	}
	var own, sum, provenOwn, provenSum int64
	for i := range js.hits {
		h := &js.hits[i]
		if h.at < newest-int64(j.Findtime) {
			continue
		}
		if sh.first == 0 {
			sh.first = h.at
		}
		sh.last = h.at
		n := int64(h.n)
		own += n
		counts := h.shadow < now
		if counts {
			sum += n
		}
		if h.proven {
			provenOwn += n
			if counts {
				provenSum += n
			}
		} else {
			sh.allProven = false
		}
	}
	t := float64(j.Threshold)
	sh.own, sh.sum, sh.provenOwn, sh.provenSum = float64(own)/t, float64(sum)/t, float64(provenOwn)/t, float64(provenSum)/t
	sh.failures = int(own)
	return sh
}

// safety ranks a source of the log jails for eviction.
func (d *Detector) safety(s *source) float64 {
	f := 0.0
	for i := range s.jails {
		js := &s.jails[i]
		j := &d.config.Jails[js.jail]
		if j.Strategy == Fail2ban {
			if d.now-js.rate.newest <= int64(j.Findtime) {
				f = max(f, float64(js.rate.retry)/float64(j.Threshold))
			}
			continue
		}
		sh := js.count(j, d.now)
		d.addTries(&sh, js, d.crowded(s, d.now), d.now)
		f += max(sh.sum, sh.tried)
	}
	return f
}
