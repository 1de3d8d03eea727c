package detect

// Failing counts the sources that a log jail is counting at present: with failures within its find time, and no verdict yet.
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
