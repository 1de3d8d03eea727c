package privsep

// handover is a kind of descriptor that the worker is handed.
type handover int

const (
	handFile    handover = iota // a log, the pflog file, a file of addresses
	handCapture                 // bpf(4)
	handOutput                  // the pipe that pfctl(8) prints into
	handInput                   // the pipe that the addresses of a large request are written into
	handJournal                 // written by the worker
)
