package control

import "golang.org/x/sys/unix"

// struct sockpeercred { uid_t uid; gid_t gid; pid_t pid; } (getsockopt(2), SO_PEERCRED).
const (
	peerLevel  = unix.SOL_SOCKET
	peerOption = unix.SO_PEERCRED
	peerUID    = 0
	peerGID    = 4
	peerPID    = 8
)
