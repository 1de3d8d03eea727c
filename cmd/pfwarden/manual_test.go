package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pfwarden(8) must name every verb and every flag of it.
func TestManual(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "man", "pfwarden.8"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	root := newRootCommand(stdio{})
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(page, "Fl -"+f.Name+"\n") && !strings.Contains(page, "Fl -"+f.Name+" ") {
			t.Errorf("the flag --%s of all verbs is not in pfwarden(8)", f.Name)
		}
	})
	walk(root, func(c *cobra.Command) {
		verb := strings.TrimPrefix(c.CommandPath(), "pfwarden ")
		if c.HasSubCommands() {
			return // its parts are checked
		}
		entry := verbEntry(page, verb)
		if entry == "" {
			t.Errorf("the verb %s is not in pfwarden(8)", verb)
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(entry, "Fl -"+f.Name+"\n") && !strings.Contains(entry, "Fl -"+f.Name+" ") {
				t.Errorf("the flag --%s of %s is not in pfwarden(8)", f.Name, verb)
			}
		})
	})
}

// verbEntry is what the manual says of a verb: from its item to the next verb's.
func verbEntry(page, verb string) string {
	const item = "\n.It Cm "
	for i := strings.Index(page, item); i >= 0; {
		rest := page[i+len(item):]
		next := strings.Index(rest, item)
		entry := rest
		if next >= 0 {
			entry = rest[:next+1]
		}
		if strings.HasPrefix(entry, verb+" ") || strings.HasPrefix(entry, verb+"\n") {
			return entry
		}
		if next < 0 {
			break
		}
		i += len(item) + next
	}
	return ""
}
