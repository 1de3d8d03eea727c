package privsep

// Rights of a descriptor that is handed to the worker, in the words of FreeBSD's rights(4). They travel with it.
const (
	rightRead     = "read"
	rightWrite    = "write"
	rightSeek     = "seek"
	rightStat     = "fstat"
	rightEvent    = "event" // kevent(2), poll(2)
	rightFcntl    = "fcntl" // F_GETFL and F_SETFL only, see limitRights
	rightIoctl    = "ioctl" // BIOCGSTATS only
	rightSync     = "fsync"
	rightTruncate = "ftruncate"
)

// handover is a kind of descriptor that the worker is handed.
type handover int

const (
	handFile    handover = iota // a log, the pflog file, a file of addresses
	handCapture                 // bpf(4)
	handOutput                  // the pipe that pfctl(8) prints into
	handJournal                 // written by the worker
)

// rights are what a worker needs of a descriptor: with these it cannot, say, write to bpf(4) or change what it is bound to, nor change a file's mode,
// nor use it to look names up below it.
func (h handover) rights() []string {
	switch h {
	case handFile:
		return []string{rightRead, rightSeek, rightStat, rightEvent, rightFcntl}
	case handCapture:
		return []string{rightRead, rightStat, rightEvent, rightFcntl, rightIoctl}
	case handOutput:
		return []string{rightRead, rightStat, rightEvent, rightFcntl}
	default:
		return []string{rightWrite, rightSeek, rightStat, rightEvent, rightFcntl, rightSync, rightTruncate}
	}
}
