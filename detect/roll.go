package detect

// roll holds the members of a company that knocked in one of its parts: of IPv4 a bit for each last octet, of IPv6 the first rollIDs of them by
// what their keys add to the prefix. More are not needed to make a company.
type roll [4]uint64

const (
	rollIDs  = companyMembers
	rollWord = rollIDs / 4   // of a word
	rollBits = 64 / rollWord // each: its number and one; 0 is none
)

// full says whether an IPv6 prefix's roll has no room left.
func (r *roll) full() bool {
	_, ok := r.id(rollIDs - 1)
	return ok
}

// id returns the member of an IPv6 prefix that was noted as the ith, from 0.
func (r *roll) id(i int) (uint32, bool) {
	v := uint32(r[i/rollWord] >> (i % rollWord * rollBits) & (1<<rollBits - 1))
	return v - 1, v != 0
}

// note adds a member of an IPv6 prefix while there is room.
func (r *roll) note(id uint32) {
	for i := range rollIDs {
		known, ok := r.id(i)
		if !ok {
			r[i/rollWord] |= uint64(id+1) << (i % rollWord * rollBits)
			return
		}
		if known == id {
			return
		}
	}
}
