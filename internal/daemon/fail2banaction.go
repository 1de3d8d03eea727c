package daemon

import (
	"maps"
	"slices"
	"strings"

	"pfwarden/internal/control"
	"pfwarden/internal/fail2ban"
)

// actionCommands are the commands that every action has, empty or not.
var actionCommands = []string{
	"actionban", "actioncheck", "actionflush", "actionprolong", "actionreban", "actionreload", "actionrepair", "actionstart", "actionstop", "actionunban",
}

// actionMethods are the methods of fail2ban's own class of actions, as it lists them.
var actionMethods = []string{
	"ban", "clearAllParams", "consistencyCheck", "escapeTag", "executeCmd", "flush", "invalidateBanEpoch", "prolong", "reban", "reload",
	"replaceDynamicTags", "replaceTag", "start", "stop", "unban",
}

// actionTimeout is how many seconds a command may take unless its action says otherwise.
const actionTimeout = 60

func noAction(name string) value {
	text := "Invalid Action name: " + name
	return value{Error: &control.Fail2banError{Text: text, Said: "'" + text + "'"}}
}

// getAction answers "get JAIL action ACTION PROPERTY", "… actionproperties ACTION" and "… actionmethods ACTION".
func getAction(x *fail2ban.Jail, what string, args []string) value {
	if len(args) == 0 || what == "action" && len(args) < 2 {
		return tooFew()
	}
	at := slices.IndexFunc(x.Actions, func(a fail2ban.Action) bool { return a.Name == args[0] })
	if at < 0 {
		return noAction(args[0])
	}
	a := &x.Actions[at]
	switch what {
	case "actionmethods":
		return value{Value: actionMethods}
	case "actionproperties":
		return value{Value: actionProperties(a)}
	}
	return property(a, args[1])
}

// actionProperties lists an action's properties in the order of their letters.
func actionProperties(a *fail2ban.Action) []string {
	names := append([]string{"ESCAPE_CRE", "ESCAPE_VN_CRE", "actname", "banEpoch", "name", "timeout"}, actionCommands...)
	names = slices.AppendSeq(names, maps.Keys(a.Init))
	names = slices.AppendSeq(names, maps.Keys(a.Command))
	slices.Sort(names)
	return slices.Compact(names)
}

// property gives one property of an action.
func property(a *fail2ban.Action, name string) value {
	if v, ok := a.Command[name]; ok {
		return value{Value: v}
	}
	if v, ok := a.Init[name]; ok && name != "timeout" {
		return value{Value: v}
	}
	switch {
	case name == "timeout":
		v, err := fail2ban.Seconds(a.Init[name])
		if err != nil {
			v = actionTimeout
		}
		return value{Value: number(v)}
	case name == "norestored":
		return value{Value: a.NoRestored}
	case slices.Contains(actionCommands, name):
		return value{Value: ""}
	}
	return failed("'CommandAction' object has no attribute '%s'", name)
}

// setAction adds, removes or changes an action of a jail. Its commands are those of the next ban; an action that changes is stopped
// and started, as at a reload.
func (q *question) setAction(x *fail2ban.Jail, what string, args []string) value {
	if len(args) == 0 || what == "action" && len(args) < 2 {
		return tooFew()
	}
	if q.s.d.o.Apart != nil && what != "delaction" {
		return failed("%s", fixedCommands)
	}
	name := args[0]
	have := slices.ContainsFunc(x.Actions, func(a fail2ban.Action) bool { return a.Name == name })
	remove := func(j *fail2ban.Jail) {
		j.Actions = slices.DeleteFunc(slices.Clone(j.Actions), func(a fail2ban.Action) bool { return a.Name == name })
	}
	o := override{jail: x.Name, key: "action " + name}
	answer := value{}
	switch what {
	case "addaction":
		if len(args) > 1 {
			return failed("pfwarden runs no actions that are written in Python: %s", args[1])
		}
		if have {
			return failed("Action %s already exists", name)
		}
		o.apply = func(j *fail2ban.Jail) {
			remove(j)
			j.Actions = append(j.Actions, fail2ban.Action{Name: name, Command: map[string]string{}, Init: map[string]string{"actname": name, "name": x.Name}})
		}
		answer.Value = name
	case "delaction":
		if !have {
			return noAction(name)
		}
		o.apply = remove
	default:
		key := args[1]
		switch {
		case !have:
			return noAction(name)
		case slices.Contains(actionMethods, key):
			return failed("pfwarden runs the commands of its actions itself: the method '%s' of action %s cannot be called", key, name)
		case len(args) < 3:
			return tooFew()
		}
		o.key += " " + key
		o.apply = func(j *fail2ban.Jail) { setProperty(j, name, key, args[2]) }
		answer = property(&fail2ban.Action{Init: map[string]string{key: args[2]}}, key)
	}
	if err := q.again(x.Name, func() error {
		if what != "action" {
			q.s.d.forgetAction(x.Name, name)
		}
		return q.s.d.override(o)
	}); err != nil {
		return failed("%v", err)
	}
	return answer
}

// forgetAction drops what was set of an action's properties.
func (d *Daemon) forgetAction(jail, action string) {
	d.overrides = slices.DeleteFunc(slices.Clone(d.overrides), func(o override) bool {
		return o.jail == jail && strings.HasPrefix(o.key, "action "+action+" ")
	})
}

// setProperty sets a property of an action: one of its commands, or the value of a tag.
func setProperty(j *fail2ban.Jail, action, key, text string) {
	j.Actions = slices.Clone(j.Actions)
	for i := range j.Actions {
		a := &j.Actions[i]
		if a.Name != action {
			continue
		}
		switch {
		case key == "norestored":
			a.NoRestored = isTrue(text)
		case strings.HasPrefix(key, "action"):
			a.Command = maps.Clone(a.Command)
			a.Command[key] = text
		default:
			a.Init = maps.Clone(a.Init)
			a.Init[key] = text
		}
	}
}
