package programs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestNobodyWritesBehindTheEnd: what a program had started, and what goes on for a while when that is killed, has ended when the test's folder is removed.
func TestNobodyWritesBehindTheEnd(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("needs /proc")
	}
	var child int
	t.Run("killed", func(t *testing.T) {
		dir := t.TempDir()
		pid := filepath.Join(dir, "pid")
		Start(t, "sh", exec.Command("/bin/sh", "-c", `sh -c 'echo $$ >"$0.new"; mv "$0.new" "$0"; i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo >"$0.$i"; sleep 0.05; done' `+pid+`; :`))
		testkit.Within(t, 10*time.Second, "the child runs", func() bool {
			text, _ := os.ReadFile(pid)
			child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return child > 0
		})
	})
	if running(child) {
		t.Error("the folder was removed while somebody still wrote into it")
	}
}
