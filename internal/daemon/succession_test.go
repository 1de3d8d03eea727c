package daemon

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"pfwarden/internal/fail2ban"
	"pfwarden/internal/hooks"
)

// FuzzLegacy reads what a worker has left for the next one: it is taken or refused, gone afterwards, and takes no action over that is not the same.
func FuzzLegacy(f *testing.F) {
	jails := []hooks.Jail{{Name: "sshd", BanTime: 600, Actions: []fail2ban.Action{{Name: "x", Command: map[string]string{"actionban": "ban <ip>"}, Init: map[string]string{}}}}}
	digest := hooks.Digests(jails)["sshd/x"]
	good, err := json.Marshal(legacy{"id", []hooks.State{{Name: "sshd/x", Digest: digest, Started: map[string]bool{"": true}, Items: map[string]bool{"inet4": true}, Done: map[string]map[string]string{"ban": {"a": "b"}}}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{
		string(good), "", "{", "null", "[]", `{"id":"id","actions":null}`, `{"id":"id","actions":[{"name":"sshd/x","digest":"` + digest + `","started":null,"items":null,"done":{"ban":null}}]}`,
		`{"id":"id","actions":[{"name":"sshd/x","digest":"other"}]}`, `{"id":"id","actions":[{"name":"nowhere","digest":"` + digest + `"}]}`, `{"id":"id"} {"id":"other"}`, `{"id":1}`, "\xff\x00",
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "left")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := legacyOf(path)
		if _, missing := os.Lstat(path); !errors.Is(missing, fs.ErrNotExist) {
			t.Errorf("it is still there: %v", missing)
		}
		if err != nil {
			return
		}
		same := 0
		for _, s := range l.Actions {
			if s.Name == "sshd/x" && s.Digest == digest {
				same++
			}
		}
		if n := hooks.New(jails, hooks.Options{}).Adopt(l.Actions); n != same {
			t.Errorf("%d actions are taken over, want %d", n, same)
		}
	})
}

// TestLegacyIsBounded: what is longer than anything that is left, or a link, is not read.
func TestLegacyIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "left")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, maxLegacy+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := legacyOf(path); err == nil {
		t.Error("a file without end was taken")
	}
	if err := errors.Join(os.WriteFile(path+".real", []byte("{}"), 0o600), os.Symlink(path+".real", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := legacyOf(path); err == nil {
		t.Error("a link was followed")
	}
}
