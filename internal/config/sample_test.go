package config

import (
	"fmt"
	"slices"
	"strings"
)

// sampleJail is the jail that the sample shows the keys of a jail on.
const sampleJail = "sshd"

// KeyDoc describes one key of the configuration.
type KeyDoc struct {
	Section string // "", "pf", "jail.NAME" …
	Name    string
	Default string // as TOML
	Doc     string
}

// Keys lists every key with its default on the given operating system, in the order of the manual. The keys of [defaults]
// are not repeated for [jail.NAME].
func Keys(goos string) []KeyDoc {
	c := Default(goos)
	var out []KeyDoc
	for _, s := range sections() {
		for _, k := range s.keys {
			out = append(out, KeyDoc{Section: s.name, Name: k.name, Default: k.show(c), Doc: k.doc})
		}
		if s.name == "defaults" {
			out = append(out, jailDocs(c)...)
		}
	}
	return out
}

func jailDocs(c *Config) []KeyDoc {
	j := c.Jail(sampleJail)
	var out []KeyDoc
	for _, k := range jailKeys() {
		if !hasKey(ruleKeys(), k.name) {
			out = append(out, KeyDoc{Section: "jail.NAME", Name: k.name, Default: k.show(j), Doc: k.doc})
		}
	}
	return out
}

// Sample writes a configuration file that lists every key with its default on the given operating system, each after a #,
// so that it changes nothing as it stands.
func Sample(goos string) string {
	c := Default(goos)
	var b strings.Builder
	fmt.Fprintf(&b, "# pfwarden.toml: every key with its default on %s. Nothing has to be set: remove the \"# \" from what you change.\n", goos)
	b.WriteString("# See pfwarden.toml(5). \"pfwarden check\" prints every fault at once and says what will be watched;\n")
	b.WriteString("# SIGHUP (\"rcctl reload pfwarden\", \"service pfwarden reload\") makes a running daemon read it again.\n")
	for _, s := range sections() {
		if s.name != "" {
			fmt.Fprintf(&b, "\n# %s\n# [%s]\n", capital(s.doc), s.name)
		} else {
			b.WriteByte('\n')
		}
		for _, k := range s.keys {
			writeKey(&b, k.name, k.show(c), k.doc)
		}
		if s.name == "defaults" {
			writeJails(&b, c)
		}
	}
	return b.String()
}

func writeJails(b *strings.Builder, c *Config) {
	j := c.Jail(sampleJail)
	fmt.Fprintf(b, "\n# One section for each log jail (not a jail(8)): servers' logs, read with a filter. These are predefined, and\n")
	fmt.Fprintf(b, "# enabled where one of their logs exists:\n")
	for i := 0; i < len(c.Jails); {
		logs, names := c.Jails[i].Logs, ""
		for ; i < len(c.Jails) && slices.Equal(c.Jails[i].Logs, logs); i++ {
			names += " " + c.Jails[i].Name
		}
		fmt.Fprintf(b, "#  %s:\n", names)
		for _, l := range logs {
			fmt.Fprintf(b, "#       %s\n", l)
		}
	}
	fmt.Fprintf(b, "# [jail.%s]\n", j.Name)
	for _, d := range jailDocs(c) {
		writeKey(b, d.Name, d.Default, d.Doc)
	}
	b.WriteString("# and any key of [defaults], for this jail alone\n")
}

// writeKey writes one key with its comment: beside it where there is room, else above it.
func writeKey(b *strings.Builder, name, value, doc string) {
	line := "# " + name + " = " + value
	const column, width = 38, 132
	switch {
	case doc == "":
		b.WriteString(line + "\n")
	case len(line) < column && column+2+len(doc) <= width:
		fmt.Fprintf(b, "%-*s# %s\n", column, line, doc)
	default:
		fmt.Fprintf(b, "#   %s:\n%s\n", doc, wrap(line))
	}
}

// wrap breaks a long list over several lines.
func wrap(line string) string {
	const width = 118
	if len(line) <= width {
		return line
	}
	var b strings.Builder
	n := 0
	for i, word := range strings.SplitAfter(line, ", ") {
		if i > 0 && n+len(word) > width {
			b.WriteString("\n#     ")
			n = 6
		}
		b.WriteString(word)
		n += len(word)
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
