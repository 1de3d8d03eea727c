package testkit

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// WriteFiles writes files, named by their paths below dir, and makes the folders that they need. In their texts DIR stands for dir.
func WriteFiles(t testing.TB, dir string, mode fs.FileMode, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		Must(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), mode))
	}
}
