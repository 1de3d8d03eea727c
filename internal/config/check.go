package config

import "errors"

// check adds to f, which holds the faults of single keys, what is wrong with the configuration as a whole: what concerns several keys, and
// what only the functions of o can tell.
func (c *Config) check(f *Faults, o Options) {
	for i := range c.Jails {
		c.checkJail(f, &c.Jails[i], o)
	}
	if c.Control.Socket != "" && c.Control.Socket == c.Store.File {
		f.addf(c.placeOf("store.file"), "store.file", "is the control socket's path as well; expected another one")
	}
}

// checkJail finds the faults of one jail. A system's own jail that nobody has touched is right by itself, and one that is
// switched off is looked at all the same: its faults would surprise whoever switches it on.
func (c *Config) checkJail(f *Faults, j *Jail, o Options) {
	name := "jail." + j.Name
	if j.Builtin && !j.Named {
		return
	}
	_, filterGiven := c.places[name+".filter"]
	if len(j.FailRegex) > 0 && j.Builtin && !filterGiven {
		j.Filter = "" // its own patterns replace the filter that came with the system's jail
	}
	switch {
	case f.about(name + ".filter"), f.about(name + ".failregex"):
	case j.Filter == "" && len(j.FailRegex) == 0:
		f.addf(c.placeOf(name+".filter", name), name+".filter", `no filter; expected filter = "NAME" or failregex = […]`)
	case j.Filter != "" && len(j.FailRegex) > 0:
		f.addf(c.placeOf(name+".failregex", name), name+".failregex", "the jail has a filter as well; expected one of the two")
	case j.Filter != "" && o.KnownFilter != nil:
		if err := o.KnownFilter(j.Filter); err != nil {
			f.add(c.placeOf(name+".filter", name), name+".filter", flat(err))
		}
	}
	if len(j.Logs) == 0 && !f.about(name+".logs") {
		f.addf(c.placeOf(name+".logs", name), name+".logs", "no logs; expected logs = [paths, globs or \"-\"]")
	}
	if j.Filter != "" && j.PrefRegex != "" {
		f.addf(c.placeOf(name+".prefregex", name), name+".prefregex", "the jail has a filter; expected failregex = […] beside it, or none")
	}
	if o.KnownJail != nil && (j.PrefRegex != "" || j.MaxLines > 1 || len(j.DatePattern) > 0 || j.Encoding != "" || j.Timezone != "") &&
		!f.about(name+".filter") && !f.about(name+".prefregex") {
		if err := o.KnownJail(j); err != nil {
			f.add(c.placeOf(name+".prefregex", name+".datepattern", name+".logencoding", name+".logtimezone", name+".failregex", name), name, flat(err))
			return
		}
	}
	if o.KnownRegex == nil || j.PrefRegex != "" || j.MaxLines > 1 { // those are no good by themselves
		return
	}
	for _, r := range j.FailRegex {
		if err := o.KnownRegex(r); err != nil {
			f.add(c.placeOf(name+".failregex", name), name+".failregex", flat(err))
		}
	}
}

// flat makes one error of many, for one fault.
func flat(err error) error { return errors.New(err.Error()) }

// placeOf returns where the first of the keys was given that was given at all.
func (c *Config) placeOf(keys ...string) place {
	for _, k := range keys {
		if p, ok := c.places[k]; ok {
			return p
		}
	}
	return place{c.Path, 1}
}
