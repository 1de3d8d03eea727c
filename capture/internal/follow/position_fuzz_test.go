package follow

import (
	"slices"
	"strings"
	"testing"

	"pfwarden/capture"
)

// FuzzPosition reads positions as a ledger may hold them after somebody has been at it: each is refused, or says the same when it is written again.
func FuzzPosition(f *testing.F) {
	for _, text := range []string{
		"", "1:2:3:abc", "1:2:256:abc|3:4:0:@5", "1:2:3:abc|!3:4:0:@5", "1:2:3:abc|!3:4:0:@5|!6:7:0:@8", "1:2:257:abc", "1:2:-1:abc", "ffffffffffffffff:0:0:", "1ffffffffffffffff:0:0:", "1:2:3:abc|3:4:0:@-5",
		"1:2:3:abc|3:4:0:@99999999999999999999", "|", "||||", ":::", "1:2:3:a@b|1:2:3:a@b@c", "\x00:\xff:3:", strings.Repeat("1:2:3:abc|", 1000),
	} {
		f.Add(text, int64(0))
	}
	f.Add("1:2:3:abc", int64(-1))
	f.Fuzz(func(t *testing.T, text string, offset int64) {
		list, err := parsePosition(capture.Position{Path: "/var/log/authlog", Identity: text, Offset: offset})
		if err != nil {
			return
		}
		if len(list) == 0 || list[0].off != offset || !slices.ContainsFunc(list, func(p place) bool { return p.newest }) {
			t.Errorf("%q gives %+v", text, list)
		}
		for _, p := range list {
			if again, err := parseIdentity(p.id.String()); err != nil || again != p.id {
				t.Errorf("%+v is read again as %+v, %v", p.id, again, err)
			}
			if p.off < 0 {
				t.Errorf("%q gives the offset %d", text, p.off)
			}
			_ = p.id.sameHead([]byte("Nov 22 15:20:08 gw sshd[1]: x"))
		}
	})
}
