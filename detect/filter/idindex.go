package filter

// idIndex tells quickly that a text begins with none of the ids remembered. It may take a text for one that does.
type idIndex struct {
	lengths [maxIndexed + 1]uint16 // ids by length
	used    []int                  // lengths that are there
	ends    [1 << idBits]uint8     // ids by length and last bytes; there are at most maxRemembered
	others  int                    // ids that are not indexed, since they are shorter or longer
}

const (
	minIndexed, maxIndexed = 8, 255
	idBits                 = 12
)

func endOf(text string, length int) uint64 {
	s := text[length-8 : length]
	end := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	return (end ^ uint64(length)) * 0x9e3779b97f4a7c15 >> (64 - idBits)
}

func (x *idIndex) add(id string) {
	n := len(id)
	if n < minIndexed || n > maxIndexed {
		x.others++
		return
	}
	if x.lengths[n]++; x.lengths[n] == 1 {
		x.used = append(x.used, n)
	}
	x.ends[endOf(id, n)]++
}

func (x *idIndex) remove(id string) {
	n := len(id)
	if n < minIndexed || n > maxIndexed {
		x.others--
		return
	}
	if x.lengths[n]--; x.lengths[n] == 0 {
		for i, u := range x.used {
			if u == n {
				x.used = append(x.used[:i], x.used[i+1:]...)
				break
			}
		}
	}
	x.ends[endOf(id, n)]--
}

// mayBegin reports whether the text may begin with an id.
func (x *idIndex) mayBegin(text string) bool {
	if x.others > 0 {
		return true
	}
	for _, n := range x.used {
		if n <= len(text) && x.ends[endOf(text, n)] > 0 {
			return true
		}
	}
	return false
}
