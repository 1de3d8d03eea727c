package privsep

import "testing"

// TestMayOpenLists: a file of addresses is opened by its own name only, since nobody rotates it; a log by those of rotation, too.
func TestMayOpenLists(t *testing.T) {
	t.Parallel()
	s := &Settings{Files: []string{"/var/log/authlog"}, Lists: []string{"/etc/pf.never", "/etc/never*"}}
	for path, want := range map[string]bool{
		"/var/log/authlog": true, "/var/log/authlog.0.gz": true,
		"/etc/pf.never": true, "/etc/pf.conf": false, "/etc/pf.never.old": false,
		"/etc/never*": true, "/etc/nevermore": false, "/etc/../etc/pf.never": false,
	} {
		if got := s.MayOpen(path); got != want {
			t.Errorf("MayOpen(%q) = %v, want %v", path, got, want)
		}
	}
}
