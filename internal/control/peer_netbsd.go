package control

// struct unpcbid { pid_t unp_pid; uid_t unp_euid; gid_t unp_egid; } (unix(4), LOCAL_PEEREID).
const (
	peerLevel  = 0
	peerOption = 0x0003
	peerUID    = 4
	peerGID    = 8
	peerPID    = 0
)
