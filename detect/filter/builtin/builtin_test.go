package builtin

import (
	"testing"

	"pfwarden/detect/filter"
)

func TestAllCompile(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		for _, spec := range []string{name, name + "[usedns=no]"} {
			def, err := Lookup(spec)
			if err != nil {
				t.Fatal(err)
			}
			f, err := filter.Compile(def, filter.Options{})
			if err != nil {
				t.Errorf("%s: %v", spec, err)
				continue
			}
			for _, w := range f.Warnings() {
				t.Errorf("%s: %s", spec, w)
			}
		}
	}
}
