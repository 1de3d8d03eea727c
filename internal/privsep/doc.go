// Package privsep divides the daemon into processes: a small privileged one, which opens files and runs pfctl(8), and a worker
// without rights, which reads hostile bytes and decides. Between them is one socket and a protocol of six requests:
//
//  1. open: a configured log file or the pflog file, its descriptor or status, the names that a configured glob has now or that
//     stand beside a configured file, a watch of its folder
//  2. capture: a descriptor of bpf(4), bound to the configured interface and locked
//  3. anchor: load, or check, the rules of a configured anchor; the text is the privileged process's own
//  4. table: add, delete, replace or flush addresses of a configured table, or add to the privileged process's own never-list, which is the table
//     without a name
//  5. kill: end the states of an address
//  6. read: pfctl's status, rules, tables, counters or states, whose output goes to the worker unread
//
// The privileged process (Guard) checks every request against its own Settings, which it gets from its own configuration. It
// parses no packet, no line of a log, and of pfctl's output nothing. Frames are bounded and parsed strictly; who sends anything
// else is ended.
//
// docs/security.md has the picture, and what each process may do on each system.
package privsep
