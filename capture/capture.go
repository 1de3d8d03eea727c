// Package capture holds the raw input of pfwarden: a Packet is one record of PF's log, a Line is one line of a text log.
// Its subpackages read them; nothing here or below judges what a record means.
package capture

import "time"

// Position says where reading of a source goes on: at byte Offset of the file that Identity names. Positions are stored
// together with the detector's snapshots and handed back after a restart.
type Position struct {
	Path     string // as configured or found by its glob
	Identity string // names the file behind the path (device, inode, first bytes), so that a rotated file is not mistaken for it
	Offset   int64  // bytes from the start of the uncompressed file, always after a complete record
}

// Line is one line of a text log, without its line end.
type Line struct {
	Text     string    // bytes as they stood in the file; invalid UTF-8 is left alone. A substring of a larger chunk: clone what is kept
	Origin   string    // path of the file, "-" for standard input
	Number   uint64    // of the line in what was read of Origin, from 1
	Read     time.Time // when it was read (live), or zero (replay)
	Modified time.Time // modification time of its file, which supplies the year where the log has none; zero if unknown
	Cut      bool      // the line was longer than the limit: Text holds only its beginning
	Next     Position  // reading resumes here once this line is dealt with
}
