//go:build !openbsd

package screen

// commandDir is where commands are run.
const commandDir = "/"
