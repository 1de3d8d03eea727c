// Package archtest holds the tests that keep the code in the shape of docs/architecture.md: which package may import which, who may run
// other programs, who may look at the clock, and which libraries we depend on. It has no code of its own.
package archtest
