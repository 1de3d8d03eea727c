package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"pfwarden/capture"
)

// headLen is how many of a file's first bytes tell it from others. Log lines begin with a time, so that this is plenty.
const headLen = 256

// sureHead is how many first bytes must agree where device and inode do not (a copy, a compressed file): more
// than the 24 of a pcap file header, which all files of one writer share.
const sureHead = 32

// identity names a file: device and inode, which a system hands out again after a deletion, and a hash of the first bytes.
type identity struct {
	dev, ino uint64
	headLen  int // bytes hashed
	headHash string
}

// place is an offset within a file.
type place struct {
	id     identity
	off    int64
	newest bool // of the places of one position: what stood at the path after it was not seen
}

func makeIdentity(key fileKey, head []byte) identity {
	return identity{key.dev, key.ino, len(head), hashHead(head)}
}

func hashHead(head []byte) string {
	sum := sha256.Sum256(head)
	return hex.EncodeToString(sum[:8])
}

// String is the form that Position.Identity holds.
func (id identity) String() string {
	return fmt.Sprintf("%x:%x:%d:%s", id.dev, id.ino, id.headLen, id.headHash)
}

func parseIdentity(text string) (id identity, err error) {
	part := strings.Split(text, ":")
	if len(part) != 4 {
		return id, fmt.Errorf("file identity %q: want device:inode:length:hash", text)
	}
	if id.dev, err = strconv.ParseUint(part[0], 16, 64); err != nil {
		return id, fmt.Errorf("file identity %q: device: %w", text, err)
	}
	if id.ino, err = strconv.ParseUint(part[1], 16, 64); err != nil {
		return id, fmt.Errorf("file identity %q: inode: %w", text, err)
	}
	if id.headLen, err = strconv.Atoi(part[2]); err != nil || id.headLen < 0 || id.headLen > headLen {
		return id, fmt.Errorf("file identity %q: length %q is not within 0 to %d", text, part[2], headLen)
	}
	id.headHash = part[3]
	return id, nil
}

// A Position's Identity names the file that its Offset belongs to; while a renamed file is still read, the other files of
// the path follow as "|identity@offset", the newest of them all as "|!identity@offset" if it is not the first. So one Position per path says
// everything, whichever record it came with.

// parsePosition gives all the places of a stored position.
func parsePosition(pos capture.Position) ([]place, error) {
	var out []place
	for i, text := range strings.Split(pos.Identity, "|") {
		p := place{off: pos.Offset}
		var err error
		if i > 0 {
			text, p.newest = strings.CutPrefix(text, "!")
			name, off, _ := strings.Cut(text, "@")
			if p.off, err = strconv.ParseInt(off, 10, 64); err != nil {
				return nil, fmt.Errorf("position in %s: offset: %w", pos.Path, err)
			}
			text = name
		}
		if p.id, err = parseIdentity(text); err != nil {
			return nil, fmt.Errorf("position in %s: %w", pos.Path, err)
		}
		if p.off < 0 {
			return nil, fmt.Errorf("position in %s: negative offset %d", pos.Path, p.off)
		}
		out = append(out, p)
	}
	out[0].newest = !slices.ContainsFunc(out, func(p place) bool { return p.newest })
	return out, nil
}

// sameFile tells whether a file with this key and these first bytes is the one that id names. A file that has grown
// since, still is.
func (id identity) sameFile(key fileKey, head []byte) bool {
	return key.ino == id.ino && id.sameHead(head) && (key.dev == id.dev || id.headLen >= sureHead)
}

// sameHead tells whether the first bytes are those of the file that id names; alone it proves something only if
// there are at least sureHead of them.
func (id identity) sameHead(head []byte) bool {
	return len(head) >= id.headLen && hashHead(head[:id.headLen]) == id.headHash
}

// readHead reads the first bytes of an open file.
func readHead(f *os.File) []byte {
	head := make([]byte, headLen)
	n, _ := f.ReadAt(head, 0) // a shorter file ends with an error; what was read counts
	return bytes.Clone(head[:n])
}

// fileKey is what the system calls a file.
type fileKey struct{ dev, ino uint64 }

// finished remembers files that were renamed and read to their end, so that a glob that matches their new names, or a
// link that turns back to them, does not read them again.
type finished struct {
	ring [256]place
	next int
	n    int
}

func (r *finished) add(p place) {
	r.ring[r.next] = p
	r.next = (r.next + 1) % len(r.ring)
	r.n = min(r.n+1, len(r.ring))
}

// find gives the offset at which such a file ended.
func (r *finished) find(key fileKey, head []byte, size int64) (int64, bool) {
	for i := range r.n { // the latest first: a file may have ended twice
		p := &r.ring[(r.next-1-i+len(r.ring))%len(r.ring)]
		if p.id.sameFile(key, head) && size >= p.off {
			return p.off, true
		}
	}
	return 0, false
}
