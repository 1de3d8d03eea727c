// Package programs builds programs of this repository, and runs programs, for tests.
package programs

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"pfwarden/internal/testkit"
)

// Build makes programs, each named by its package's folder such as "./cmd/pfwarden", and returns a new folder of the test's own that holds them
// under the last element of that name. What has not changed since another test built it is not linked again.
func Build(t testing.TB, packages ...string) (dir string) {
	t.Helper()
	root, dir := testkit.Root(t), t.TempDir()
	kept := filepath.Join(root, ".cache", "programs")
	if err := os.MkdirAll(kept, 0o755); err != nil { // somebody else's checkout
		kept = t.TempDir()
	}
	// Several tests and test binaries build at the same time.
	lock, err := os.OpenFile(filepath.Join(kept, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	testkit.Must(t, err)
	defer lock.Close()
	testkit.Must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	cmd := exec.Command("go", append([]string{"build", "-o", kept + string(filepath.Separator)}, packages...)...)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", packages, err, text)
	}
	for _, pkg := range packages {
		name := filepath.Base(pkg)
		testkit.Must(t, place(filepath.Join(kept, name), filepath.Join(dir, name)))
	}
	return dir
}

// place makes a program appear under another name: as a link, or a copy where that is impossible. Either stays what it is when the next
// build replaces the first.
func place(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return out.Close()
}

// Start runs a program until the test ends. What it prints goes into the file whose path is returned, and is shown, under name, if the test
// fails.
func Start(t testing.TB, name string, cmd *exec.Cmd) (output string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), name+".out"))
	testkit.Must(t, err)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		Kill(t, cmd.Process)
		_ = cmd.Wait()
		_ = out.Close()
		if t.Failed() {
			text, _ := os.ReadFile(out.Name())
			t.Logf("%s printed:\n%s", name, text)
		}
	})
	return out.Name()
}
