// Package home writes the part of a configuration by which a pfwarden of a test keeps to one folder.
package home

import (
	"cmp"
	"fmt"
	"path/filepath"
)

// Home says where a gateway's files lie: in Dir, its packets in pflog, its ledger in pfwarden.db, and its control socket, s.
type Home struct {
	Dir    string
	Listen string // where the metrics are asked for; "" = nowhere
	Store  string // the ledger's file, if it is another
}

// Socket is the path of the control socket.
func (h Home) Socket() string { return filepath.Join(h.Dir, "s") }

// Pflog is the path of the file of packets.
func (h Home) Pflog() string { return filepath.Join(h.Dir, "pflog") }

// Ledger is the path of the ledger.
func (h Home) Ledger() string { return cmp.Or(h.Store, filepath.Join(h.Dir, "pfwarden.db")) }

// TOML gives the sections pflog, metrics, store, control and log, which is the last.
func (h Home) TOML() string {
	return fmt.Sprintf(`[pflog]
interface = ""
file = %q
watch = ["em0"]
[metrics]
listen = %q
[store]
file = %q
[control]
socket = %q
group = ""
[log]
target = "stderr"
`, h.Pflog(), h.Listen, h.Ledger(), h.Socket())
}
