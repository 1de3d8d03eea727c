package privsep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Captured is a descriptor of bpf(4) that is ready to be read, and the size of the kernel's buffer in bytes, which each read must ask for.
type Captured struct {
	File   *os.File
	Buffer uint32
}

// captureTime is how long a child may take to bind a device.
const captureTime = 10 * time.Second

// VerbCapture is the verb of this program by which a child binds the device that it inherits.
const VerbCapture = "bindcapture"

// captureByChild opens a device and has this program, started again, bind and lock it: the settings are those of the device as it was opened, which
// both share. So the caller needs no right to bind devices, and the child, which lives for a moment, is asked nothing by the worker.
func captureByChild(program string, open func() (*os.File, error)) func(string, int) (Captured, error) {
	return func(name string, snaplen int) (c Captured, err error) {
		f, err := open()
		if err != nil {
			return c, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, f.Close())
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), captureTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, VerbCapture, name, strconv.Itoa(snaplen))
		cmd.Env = []string{}
		cmd.ExtraFiles = []*os.File{f}
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &capped{w: &out, left: 32}, &capped{w: &said, left: 1024}
		if err := cmd.Run(); err != nil {
			return c, fmt.Errorf("capture from %s: %w: %s", name, err, strings.TrimSpace(said.String()))
		}
		size, err := strconv.ParseUint(strings.TrimSpace(out.String()), 10, 32)
		if err != nil {
			return c, fmt.Errorf("capture from %s: the child that binds it: %w", name, err)
		}
		return Captured{f, uint32(size)}, nil
	}
}

// BindCapture is what that child does: it binds the device that it inherited to an interface, locks it, and prints the size of its buffer.
func BindCapture(name string, snaplen int, out io.Writer) error {
	f := os.NewFile(fdSocket, "bpf")
	defer f.Close()
	size, err := setCapture(f, name, snaplen)
	if err == nil {
		_, err = fmt.Fprintln(out, size)
	}
	return err
}
