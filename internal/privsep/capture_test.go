package privsep

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCaptureByChild: a child gets the open device as descriptor 3, what to bind it to as arguments, no environment, and says the buffer's size. What
// goes wrong with it is an error that says so, and the device is closed.
func TestCaptureByChild(t *testing.T) {
	dir := t.TempDir()
	device := filepath.Join(dir, "bpf")
	if err := os.WriteFile(device, []byte("device\nrest"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRET", "x")
	for name, x := range map[string]struct {
		script string
		want   uint32
		fault  string
	}{
		"bound":            {`[ "$*" = "bindcapture pflog0 160" ] && read x <&3 && [ "$x" = device ] && [ -z "$SECRET" ] && echo 32768`, 32768, ""},
		"no interface":     {"echo 'BIOCSETIF: device not configured' >&2; exit 1", 0, "BIOCSETIF: device not configured"},
		"says nothing":     {":", 0, "invalid syntax"},
		"says too much":    {"while :; do echo 1111111111111111111111; done", 0, "capture from pflog0"},
		"says no number":   {"echo a lot", 0, "invalid syntax"},
		"says a huge size": {"echo 99999999999", 0, "out of range"},
	} {
		program := filepath.Join(dir, "child")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+x.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		var opened *os.File
		got, err := captureByChild(program, func() (f *os.File, err error) {
			opened, err = os.Open(device)
			return opened, err
		})("pflog0", 160)
		if x.fault != "" {
			if err == nil || !strings.Contains(err.Error(), x.fault) {
				t.Errorf("%s: error %v, want %q", name, err, x.fault)
			}
			if _, err := opened.Stat(); err == nil {
				t.Errorf("%s: the device was left open", name)
			}
			continue
		}
		if err != nil || got.Buffer != x.want {
			t.Errorf("%s: %d, %v", name, got.Buffer, err)
			continue
		}
		if at, err := got.File.Seek(0, io.SeekCurrent); err != nil || at == 0 {
			t.Errorf("%s: the child had another device: %d, %v", name, at, err) // it has read from what both share
		}
		got.File.Close()
	}
}

// TestCaptureRequest: the buffer's size goes to the worker with the descriptor; what cannot be bound, or is not configured, is an error of the request.
func TestCaptureRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := testSettings(dir)
	s.Interface, s.Snaplen = "pflog7", 200
	file, err := os.Create(filepath.Join(dir, "bpf"))
	if err != nil {
		t.Fatal(err)
	}
	c, served := pairOver(t, GuardOptions{Settings: s, Changes: &recorder{}, Reads: &recorder{}, Capture: func(name string, n int) (Captured, error) {
		if name != "pflog7" || n != 200 {
			t.Errorf("capture from %s, %d bytes", name, n)
		}
		return Captured{file, 65536}, nil
	}})
	f, err := c.simple(&request{kind: kindCapture})
	if err != nil || f.file == nil || string(f.payload) != "\x00\x01\x00\x00" {
		t.Fatalf("captured: %q %v %v", f.payload, f.file, err)
	}
	f.file.Close()
	_ = c.Close()
	<-served
	if _, err := file.Stat(); err == nil {
		t.Error("the privileged process kept its copy")
	}
}
