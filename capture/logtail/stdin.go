package logtail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"pfwarden/capture"
)

// readStdin hands over the lines of standard input until it ends, an incomplete last one included.
func (t *Tailer) readStdin(ctx context.Context) error {
	in := t.opts.Stdin
	if in == nil {
		in = os.Stdin
	}
	type part struct {
		data []byte
		err  error
	}
	parts := make(chan part)
	go func() { // a read cannot be interrupted: if ctx ends first, this goroutine ends with the next byte
		for {
			buf := make([]byte, 64<<10)
			n, err := in.Read(buf)
			select {
			case parts <- part{buf[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	s := &splitter{max: t.opts.MaxLine}
	var offset int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-parts:
			lines := s.split(nil, p.data, offset)
			offset += int64(len(p.data))
			if p.err != nil {
				if line, ok := s.finish(offset); ok {
					lines = append(lines, line)
				}
			}
			t.mu.Lock()
			if t.counts[Stdin] == nil {
				t.counts[Stdin] = &counts{}
			}
			t.counts[Stdin].bytes += uint64(len(p.data))
			t.mu.Unlock()
			if err := t.deliver(lines, Stdin, capture.Position{Path: Stdin}, time.Time{}, s); err != nil {
				return err
			}
			switch {
			case errors.Is(p.err, io.EOF):
				return nil
			case p.err != nil:
				return fmt.Errorf("read standard input: %w", p.err)
			}
		}
	}
}
