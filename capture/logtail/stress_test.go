package logtail

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pfwarden/capture"
)

// A writer and newsyslog work as fast as they can beside a Tailer that is killed and started again, each at moments of its own
// choosing: every line is dealt with exactly once.
func TestNothingLostUnderLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	const total = 20000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var writer sync.WaitGroup
	begun := sync.OnceFunc(func() { // a file that nobody has ever looked at cannot be missed
		writer.Go(func() { writeAndRotate(t, file, total, rand.New(rand.NewPCG(seed, 1))) })
	})
	if err := os.WriteFile(file, []byte(entry("first")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	random := rand.New(rand.NewPCG(seed, 2))
	var stored []capture.Position // of the last line dealt with: all that survives
	seen := make(map[string]int, total)
	deadline := time.Now().Add(4 * time.Minute)
	for runs := 0; len(seen) < total+1; runs++ {
		if time.Now().After(deadline) {
			t.Errorf("%d of %d lines after %d runs", len(seen), total, runs)
			break
		}
		tailer, err := New(Options{Paths: []string{file}, FromStart: true, Positions: stored, Poll: 2 * time.Millisecond, Linger: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		lives := 1 + random.IntN(2000) // lines until it is killed, maybe within a batch
		giveUp := time.AfterFunc(2*time.Second, cancel)
		err = tailer.Run(ctx, func(lines []capture.Line) error {
			for _, l := range lines {
				if lives--; lives < 0 {
					cancel()
					return context.Canceled
				}
				seen[l.Text]++
				begun()
				stored = []capture.Position{l.Next}
			}
			return nil
		})
		giveUp.Stop()
		for _, st := range tailer.Stats() {
			if st.Lost > 0 {
				t.Errorf("run %d: %+v", runs, st)
			}
		}
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	writer.Wait()
	for i := range total {
		if n := seen[entry(fmt.Sprint(i))]; n != 1 {
			t.Errorf("line %d was dealt with %d times", i, n)
		}
	}
}

// writeAndRotate writes lines, in pieces now and then, and renames the file every few hundred lines; sometimes it writes on to
// the renamed file for a while.
func writeAndRotate(t *testing.T, file string, total int, random *rand.Rand) {
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { out.Close() }()
	for i := 0; i < total; i++ {
		line := entry(fmt.Sprint(i)) + "\n"
		k := len(line)
		if random.IntN(20) == 0 {
			k = random.IntN(k)
		}
		for _, part := range []string{line[:k], line[k:]} {
			if _, err := out.WriteString(part); err != nil {
				t.Error(err)
				return
			}
		}
		if random.IntN(500) != 0 {
			continue
		}
		for n := 99; n >= 0; n-- {
			_ = os.Rename(fmt.Sprintf("%s.%d", file, n), fmt.Sprintf("%s.%d", file, n+1)) // most do not exist
		}
		if err := os.Rename(file, file+".0"); err != nil {
			t.Error(err)
			return
		}
		for range random.IntN(3) * 10 { // before SIGHUP
			if i++; i < total {
				fmt.Fprintln(out, entry(fmt.Sprint(i)))
			}
		}
		out.Close()
		if out, err = os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
			t.Error(err)
			return
		}
	}
}
