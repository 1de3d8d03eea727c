// Package pftest is PF in memory: it answers pfctl(8)'s commands, text and exit status as the systems' own programs do, and runs
// packets through rules, anchors, tables and states. Tests use it through the executables pfctl and pfpkt beside this package,
// the daemon through New (replay, demo, backend = "memory").
//
// What it promises is what our driver and its tests rest on: the table commands with their texts and counts, the counters of
// entries, tables and rules, anchors and their loading, states and their killing, the limits, and the differences between the
// systems, which all stand in Profile. It never forwards anything and knows only the rule forms that parse.go lists; whatever else
// stands in a rules file is a syntax error here.
package pftest
