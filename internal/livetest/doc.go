// Package livetest runs pfwarden as a user would: the real binary beside a real Apache httpd, a real sshd and a growing pflog file,
// attacked from addresses in network namespaces that the tests make and remove themselves, over the stand-in pfctl.
// With a folder of Debian's fail2ban it runs that set-up's jails too: their actions fill PF's tables, iptables and nftables of a namespace, send
// mail, write files.
// It holds tests only; they skip where root, namespaces or the servers are missing.
package livetest
