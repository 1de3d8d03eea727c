// Package livetest runs pfwarden as a user would: the real binary beside a real Apache httpd, a real sshd and a growing pflog file,
// attacked from addresses in network namespaces that the tests make and remove themselves, over the stand-in pfctl.
// It holds tests only; they skip where root, namespaces or the servers are missing.
package livetest
