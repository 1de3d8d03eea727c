//go:build !openbsd

package hooks

// commandDir is where commands are run.
const commandDir = "/"
