package hooks

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"pfwarden/internal/fail2ban"
)

var (
	tagPattern     = regexp.MustCompile(`<([^ <>]+)>`)
	failurePattern = regexp.MustCompile(`<F-([A-Z0-9_\-]+)>`)
	special        = regexp.MustCompile("[\\\\#&;`|*?~<>^()\\[\\]{}$'\"\n\r]")
	noWord         = regexp.MustCompile(`\W`)
	inert          = regexp.MustCompile(`^[A-Za-z0-9_.:/@%+,-]*$`)
)

// maxRounds is how often tags that other tags brought in are replaced.
const maxRounds = 26

// values find what a tag stands for; it is asked only for tags that are there.
type values func(tag string) (string, bool)

// replaceStatic replaces the tags that an action's own options define, again and again, until none is left that they know. condition,
// "family=inet6" say, prefers the option "name?condition".
func replaceStatic(query string, options map[string]string, condition string, names func() (fq, short string)) (string, error) {
	if !strings.Contains(query, "<") {
		return query, nil
	}
	known, err := fail2ban.Substitute(options, condition, escaped...)
	if err != nil {
		return "", err
	}
	for range maxRounds {
		next := tagPattern.ReplaceAllStringFunc(query, func(t string) string {
			tag := t[1 : len(t)-1]
			v, ok := known[tag+"?"+condition]
			if !ok || condition == "" {
				v, ok = known[tag]
			}
			if !ok {
				return added(tag, t, names)
			}
			for _, e := range escaped {
				if tag == e {
					return escape(v)
				}
			}
			return v
		})
		if next == query || !strings.Contains(next, "<") {
			return next, nil
		}
		query = next
	}
	return "", fmt.Errorf("tags bring in each other without end: %.200s", query)
}

// escaped tags hold text of logs: where an option defines them, their special characters are escaped.
var escaped = []string{"matches", "ipmatches", "ipjailmatches"}

func escape(s string) string {
	return special.ReplaceAllStringFunc(s, func(c string) string {
		switch c {
		case "\n":
			c = "n"
		case "\r":
			c = "r"
		}
		return `\` + c
	})
}

// added are the tags that every action knows.
func added(tag, otherwise string, names func() (fq, short string)) string {
	switch tag {
	case "br":
		return "\n"
	case "sp":
		return " "
	case "fq-hostname":
		fq, _ := names()
		return fq
	case "sh-hostname":
		_, short := names()
		return short
	}
	return otherwise
}

// hostNames gives this machine's name, whole and up to the first dot.
func hostNames() (fq, short string) {
	fq, err := os.Hostname()
	if err != nil {
		return "localhost", "localhost"
	}
	short, _, _ = strings.Cut(fq, ".")
	return fq, short
}

// replaceDynamic fills the values of one ban into a command, in one pass. A value that is more than one word of
// letters, digits and the like is not written into the command but handed over as an argument, which the command finds in a variable f2bV_NAME:
// what means something to a shell never becomes part of the text that it reads. args are these values, for /bin/sh -c command args….
func replaceDynamic(command string, value, failure values, names func() (fq, short string)) (_ string, args []string) {
	var variables []string
	seen := make(map[string]bool)
	put := func(tag, v string) string {
		v = strings.ReplaceAll(v, "\x00", "") // no argument can hold it
		if inert.MatchString(v) {
			return v
		}
		name := "f2bV_" + noWord.ReplaceAllString(tag, "_")
		if !seen[name] {
			seen[name] = true
			variables, args = append(variables, name), append(args, v)
		}
		return "$" + name
	}
	command = tagPattern.ReplaceAllStringFunc(command, func(t string) string {
		tag := t[1 : len(t)-1]
		if v, ok := value(tag); ok {
			return put(tag, v)
		}
		return added(tag, t, names)
	})
	command = failurePattern.ReplaceAllStringFunc(command, func(t string) string {
		tag := failureName(t[3 : len(t)-1])
		v, ok := failure(tag)
		if !ok {
			return ""
		}
		return put("F_"+tag, v)
	})
	if len(variables) == 0 {
		return command, nil
	}
	var b strings.Builder
	for i, name := range variables {
		if i < 10 {
			fmt.Fprintf(&b, "%s=$%d ", name, i)
		} else {
			fmt.Fprintf(&b, "%s=${%d} ", name, i)
		}
	}
	return b.String() + "\n" + command, args
}

// failureName is the name of a filter's group by its tag.
func failureName(tag string) string {
	switch tag {
	case "ID":
		return "fid"
	case "PORT":
		return "fport"
	}
	return strings.ToLower(strings.ReplaceAll(tag, "-", "_"))
}
