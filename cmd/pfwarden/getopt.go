package main

import (
	"fmt"
	"strings"
)

// option is one of those that a command line may have. They are spelt as fail2ban's programs spell theirs, which pflag cannot read: long ones may
// be cut short, and faults are worded as Python words them.
type option struct {
	long  string // "": it has none
	short byte   // 0: it has none
	value bool   // a value follows
}

// name is how the option is known: its long name, else its letter.
func (o option) name() string {
	if o.long != "" {
		return o.long
	}
	return string(rune(o.short))
}

// given is an option on a command line.
type given struct{ name, value string }

// options is a command line that is being read.
type options struct {
	known []option
	left  []string
	list  []given
}

// getopt reads the options before the first other word, as getopt(3) does.
func getopt(known []option, args []string) (list []given, rest []string, err error) {
	o := options{known: known, left: args}
	for len(o.left) > 0 && isOption(o.left[0]) {
		if more, err := o.next(); err != nil || !more {
			return o.list, o.left, err
		}
	}
	return o.list, o.left, nil
}

// optparse reads options from wherever they stand among the arguments, as Python's optparse does.
func optparse(known []option, args []string) (list []given, rest []string, err error) {
	o := options{known: known, left: args}
	for len(o.left) > 0 {
		if !isOption(o.left[0]) {
			rest, o.left = append(rest, o.left[0]), o.left[1:]
			continue
		}
		if more, err := o.next(); err != nil || !more {
			return o.list, append(rest, o.left...), err
		}
	}
	return o.list, rest, nil
}

func isOption(word string) bool { return strings.HasPrefix(word, "-") && word != "-" }

// next reads a word of options. more is false after "--", which ends them.
func (o *options) next() (more bool, err error) {
	word := o.left[0]
	o.left = o.left[1:]
	switch {
	case word == "--":
		return false, nil
	case strings.HasPrefix(word, "--"):
		return true, o.long(word[2:])
	}
	return true, o.short(word[1:])
}

// long reads --NAME, --NAME=VALUE, or --NAME and the next word. The name may be cut short where that is clear.
func (o *options) long(word string) error {
	name, value, joined := strings.Cut(word, "=")
	found, err := o.findLong(name)
	switch {
	case err != nil:
		return err
	case found.value && !joined:
		if value, err = o.value("--" + found.long); err != nil {
			return err
		}
	case !found.value && joined:
		return fmt.Errorf("--%s option does not take a value", found.long)
	}
	o.list = append(o.list, given{found.long, value})
	return nil
}

// short reads the letters after one dash. The value of one is what follows it, else the next word.
func (o *options) short(letters string) error {
	for i := range len(letters) {
		found, err := o.findShort(letters[i])
		if err != nil {
			return err
		}
		if !found.value {
			o.list = append(o.list, given{name: found.name()})
			continue
		}
		value := letters[i+1:]
		if value == "" {
			if value, err = o.value("-" + letters[i:]); err != nil {
				return err
			}
		}
		o.list = append(o.list, given{found.name(), value})
		return nil
	}
	return nil
}

// value takes the next word as the value of an option.
func (o *options) value(name string) (string, error) {
	if len(o.left) == 0 {
		return "", fmt.Errorf("%s option requires 1 argument", name)
	}
	v := o.left[0]
	o.left = o.left[1:]
	return v, nil
}

func (o *options) findLong(name string) (option, error) {
	var like []option
	for _, k := range o.known {
		switch {
		case k.long == "":
		case k.long == name:
			return k, nil
		case strings.HasPrefix(k.long, name):
			like = append(like, k)
		}
	}
	if len(like) != 1 {
		return option{}, fmt.Errorf("no such option: --%s", name)
	}
	return like[0], nil
}

func (o *options) findShort(letter byte) (option, error) {
	for _, k := range o.known {
		if k.short == letter && letter != 0 {
			return k, nil
		}
	}
	return option{}, fmt.Errorf("no such option: -%c", letter)
}
