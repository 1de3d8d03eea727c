package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"pfwarden/capture/pflog"
	"pfwarden/internal/ledger"
)

// version is what this source tree calls itself; releases are tagged "v" + version.
const version = "0.1.0"

// build describes the running binary.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // "" if built outside a checkout
	Dirty   bool   `json:"dirty"`  // built from a changed checkout
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Cgo     bool   `json:"cgo"`
	Capture string `json:"capture"` // live capture: libpcap, bpf or none
	SQLite  string `json:"sqlite"`  // driver, or none
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Capture: pflog.CaptureKind(), SQLite: ledger.Driver()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		case "CGO_ENABLED":
			b.Cgo = s.Value == "1"
		}
	}
	return b
}

func newVersionCommand(streams stdio) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version, the commit, and what this binary was built with",
		Args:    nArgs(cobra.NoArgs),
		Example: "  pfwarden version\n  pfwarden version -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			if commonOf(cmd).json() {
				return json.NewEncoder(streams.Out).Encode(b)
			}
			commit := b.Commit
			if len(commit) > 12 {
				commit = commit[:12]
			}
			if commit == "" {
				commit = "unknown"
			}
			if b.Dirty {
				commit += " (changed)"
			}
			_, err := fmt.Fprintf(streams.Out, "pfwarden %s\ncommit   %s\nGo       %s %s/%s, cgo %t\ncapture  %s\nSQLite   %s\n",
				b.Version, commit, b.Go, b.OS, b.Arch, b.Cgo, b.Capture, b.SQLite)
			return err
		},
	}
}
