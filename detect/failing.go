package detect

// Failing counts the sources that have failures within a log jail's find time and no verdict yet.
func (d *Detector) Failing(jail string) (n int) {
	j, ok := d.jails[jail]
	if !ok || j < 0 {
		return 0
	}
	c := &d.config.Jails[j]
	oldest := d.now - int64(c.Findtime)
	for _, s := range d.logs.sources {
		for i := range s.jails {
			js := &s.jails[i]
			if js.jail != j {
				continue
			}
			switch c.Strategy {
			case Fail2ban:
				if js.rate.retry > 0 && js.rate.newest > oldest {
					n++
				}
			default:
				if len(js.hits) > 0 && js.hits[len(js.hits)-1].at > oldest {
					n++
				}
			}
		}
	}
	return n
}

// Suspected counts the sources with a suspicion of at least 0.5. It looks at every source, so once a minute is enough.
func (d *Detector) Suspected() (n int) {
	now := d.now
	at := seconds(now)
	for i := range d.scan.table.slot {
		x := &d.scan.table.slot[i]
		if float64(x.hard)+float64(x.weak)/weakUnit < d.scan.leastFull/2 {
			continue
		}
		if f, _ := d.scan.fraction(x, at); f >= 0.5 {
			n++
		}
	}
	for k, s := range d.logs.sources {
		sum := 0.0
		if k.id == "" {
			sum = d.weigh(k.key.addr(), now).sum
			if sh, ok := d.scanShare(k.key.addr(), now); ok && sh.own >= 0.5 {
				continue // counted above
			}
		}
		for i := range s.jails {
			js := &s.jails[i]
			if j := &d.config.Jails[js.jail]; k.id != "" || !j.Combine {
				sum = max(sum, js.standing(j, now).own)
			}
		}
		if sum >= 0.5 {
			n++
		}
	}
	return n
}
