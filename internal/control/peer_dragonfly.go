package control

// struct xucred { u_int cr_version; uid_t cr_uid; short cr_ngroups; gid_t cr_groups[16]; … } (unix(4), LOCAL_PEERCRED); the group
// ids begin after two bytes of padding.
const (
	peerLevel  = 0
	peerOption = 0x001
	peerUID    = 4
	peerGID    = 12
)
