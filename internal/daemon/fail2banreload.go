package daemon

import (
	"errors"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/control"
	"pfwarden/internal/fail2ban"
)

// override is what was set at run time: it is laid over what the folder says until the next reload.
type override struct {
	jail, key string                  // jail "" = the server itself
	apply     func(*fail2ban.Jail)    // of a jail
	main      func(map[string]string) // of the server
}

// maxOverrides bounds them.
const maxOverrides = 10000

// override sets something. It is called on the engine's goroutine, before the configuration is taken over anew.
func (d *Daemon) override(o override) error {
	list := slices.DeleteFunc(slices.Clone(d.overrides), func(x override) bool { return x.jail == o.jail && x.key == o.key })
	if len(list) >= maxOverrides {
		return errors.New("too much was set since the last reload: write it into the configuration and reload")
	}
	d.overrides = append(list, o)
	return nil
}

// forget drops what was set of a jail, or everything for "".
func (d *Daemon) forget(jail string) {
	d.overrides = slices.DeleteFunc(slices.Clone(d.overrides), func(o override) bool { return jail == "" || o.jail == jail })
}

// overlay lays what was set at run time over a set-up.
func overlay(s *fail2ban.Setup, over []override) {
	for _, o := range over {
		if o.main != nil {
			o.main(s.Main)
			continue
		}
		for i := range s.Jails {
			if s.Jails[i].Name == o.jail {
				o.apply(&s.Jails[i])
			}
		}
	}
}

// again makes a change to what is set at run time and takes the configuration over anew. Nothing is changed if that fails, or if jail,
// where it is named, could not run any more.
func (q *question) again(jail string, f func() error) error {
	d := q.s.d
	var err error
	if asking := d.ask(q.ctx, func(time.Time) {
		c := d.config
		if d.o.Apart == nil { // else it was read before the rights were given up
			if c, err = d.o.Load(); err != nil {
				return
			}
		}
		before := d.overrides
		if err = f(); err == nil {
			err = d.wouldRun(jail)
		}
		if err == nil {
			err = d.takeConfig(d.work, c)
		}
		if err != nil {
			d.overrides = before
		}
	}); asking != nil {
		return asking
	}
	return err
}

// wouldRun tries what is set now out on a jail.
func (d *Daemon) wouldRun(jail string) error {
	if jail == "" {
		return nil
	}
	r, err := d.o.Apart.fail2ban(d.config, d.overrides)
	if err != nil {
		return err
	}
	for _, f := range r.Faults {
		if f.Jail == jail {
			return f.Err
		}
	}
	return nil
}

// reload reads everything again, or one jail; what was set at run time is forgotten.
func (q *question) reload() value {
	jail, unban, ifExists, restart := "", false, false, false
	for _, a := range q.argv[1:] {
		switch {
		case a == "--all":
		case a == "--restart":
			restart = true
		case a == "--unban":
			unban = true
		case a == "--if-exists":
			ifExists = true
		case jail != "":
			return failed("Unexpected argument(s) for reload: %q", a)
		default:
			jail = a
		}
	}
	jails := q.jails()
	if jail != "" {
		known, err := q.configured(jail)
		if err != nil {
			return failed("%v", err)
		}
		if !known {
			return failed("No section: '%s'", jail)
		}
		if q.running().Jail(jail) == nil && !ifExists {
			return noJail(jail)
		}
		jails = []string{jail}
	}
	if unban {
		if _, _, err := q.release(jails, nil, true); err != nil {
			return failed("%v", err)
		}
	}
	if q.s.d.o.Apart != nil { // another worker will read everything
		return value{Value: "OK", Owner: control.OwnerReloads}
	}
	if err := q.again("", func() error { q.s.d.forget(jail); return nil }); err != nil {
		return failed("%v", err)
	}
	if jail == "" {
		q.s.d.resetLevel()
	}
	if restart {
		q.s.d.countAnew(jails)
	}
	return value{Value: "OK"}
}

// configured tells whether the folder has such a jail, enabled or not left out for a fault.
func (q *question) configured(jail string) (bool, error) {
	if q.s.d.o.Apart != nil { // the folder cannot be read any more
		setup := q.running().Setup
		return slices.ContainsFunc(setup.Jails, func(j fail2ban.Jail) bool { return j.Name == jail }) ||
			slices.ContainsFunc(setup.Faults, func(f fail2ban.JailFault) bool { return f.Jail == jail }), nil
	}
	setup, err := fail2ban.Load(q.running().Setup.Dir, fail2ban.Options{AllowMissingLogs: true})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(setup.Jails, func(j fail2ban.Jail) bool { return j.Name == jail }) ||
		slices.ContainsFunc(setup.Faults, func(f fail2ban.JailFault) bool { return f.Jail == jail }), nil
}

// stopDelay is how long a daemon that was told to stop goes on, so that it can say so.
const stopDelay = 200 * time.Millisecond

// startStop stops the server or a jail, or wakes an idle jail. A jail that was stopped is gone until the next reload.
func (q *question) startStop() value {
	switch {
	case len(q.argv) == 1 && q.argv[0] == "start":
		return tooFew()
	case len(q.argv) == 1 && q.s.d.o.Apart != nil:
		return value{Owner: control.OwnerStops}
	case len(q.argv) == 1:
		q.s.d.mu.Lock()
		quit := q.s.d.quit
		q.s.d.mu.Unlock()
		time.AfterFunc(stopDelay, quit) // once the answer is on its way
		return value{}
	}
	stopped := q.argv[0] == "stop"
	jails := []string{q.argv[1]}
	if stopped && q.argv[1] == "--all" {
		jails = q.jails()
	} else if j, bad := q.jail(1); j == nil {
		return bad
	} else if !stopped && !j.Jail.Idle {
		return value{}
	}
	if stopped {
		if _, _, err := q.release(jails, nil, true); err != nil {
			return failed("%v", err)
		}
	}
	if err := q.again("", func() error {
		for _, name := range jails {
			o := override{jail: name, key: "enabled", apply: func(j *fail2ban.Jail) { j.Stopped = true }}
			if !stopped {
				o = override{jail: name, key: "idle", apply: func(j *fail2ban.Jail) { j.Idle = false }}
			}
			if err := q.s.d.override(o); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return failed("%v", err)
	}
	if stopped {
		q.s.d.countAnew(jails)
	}
	return value{}
}

// isTrue reads a switch as fail2ban does.
func isTrue(s string) bool {
	return slices.Contains([]string{"1", "on", "true", "yes"}, strings.ToLower(s))
}
