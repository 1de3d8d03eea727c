package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"pfwarden/detect"
	"pfwarden/internal/replay"
	"pfwarden/internal/report"
)

// openJournal opens a flight recorder's file, to write after what is there: a reload, a crash or a restart costs nothing of what was recorded
// before. Where another file has that name it is left alone.
func openJournal(name string) (*os.File, error) {
	if err := mayJournal(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600) // to wait for a pipe's reader would be for ever
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("%w: a pipe that nobody reads; start its reader first, or name a file", err)
	}
	return f, err
}

// narrowJournal makes sure that nobody but its owner may read a flight recorder's file: it holds all that the detector was told.
func narrowJournal(name string) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil // a pipe's reader would take our closing it for the end
	}
	f, err := openJournal(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	return f.Chmod(0o600)
}

// mayJournal refuses a file that holds something else than a journal.
func mayJournal(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(detect.JournalMagic))
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if string(head[:n]) != detect.JournalMagic[:n] {
		return fmt.Errorf("%s exists and is not a journal; it is left as it is: name another file", name)
	}
	return nil
}

// replayJournal replays a flight recorder's file: with -o json the verdict log itself, else the same for people. It ends with an error where the
// verdicts are not those of the recorded run, or where the file is damaged before its end; a last record that was cut off is none.
func replayJournal(cmd *cobra.Command, streams stdio, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(streams.Out, 64<<10)
	asJSON := commonOf(cmd).json()
	totals, err := replay.Journal(cmd.Context(), f, func(v *detect.Verdict, line []byte) {
		if asJSON {
			_, _ = out.Write(line) // the error stays until Flush
			return
		}
		who, state := v.ID, "spoofable"
		if who == "" {
			who = strings.TrimSuffix(strings.TrimSuffix(v.Source.String(), "/32"), "/128")
		}
		if v.Proven {
			state = "proven"
		}
		if v.Stopped {
			state += ", stopped by a gate"
		}
		fmt.Fprintf(out, "%s  %s  %s, score %.2f, %s\n", v.Time.Format("2006-01-02 15:04:05 MST"), report.Plain(who), report.Plain(v.Jail), v.Score, state)
		for _, reason := range v.Reasons {
			fmt.Fprintf(out, "    %s\n", report.Plain(reason))
		}
	})
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return fmt.Errorf("replaying %s: %w", name, err)
	}
	if totals.Gaps > 0 {
		fmt.Fprintf(streams.Err,
			"pfwarden: %s: %d times a recorded run has no end, as after a crash; the next one after it is played on: %v\n",
			name, totals.Gaps, totals.Gap)
	}
	if totals.Fault != nil {
		fmt.Fprintf(streams.Err, "pfwarden: %s is read as far as it goes: %v\n", name, totals.Fault)
	}
	if totals.Differ > 0 {
		return fmt.Errorf("replaying %s: %d of %d verdicts differ from the recorded run's: %s", name, totals.Differ, totals.Verdicts, totals.First)
	}
	fmt.Fprintf(streams.Err, "pfwarden: %d inputs, %d verdicts, all as recorded\n", totals.Inputs, totals.Verdicts)
	if totals.Fault != nil && !errors.Is(totals.Fault, detect.ErrJournalCut) {
		return fmt.Errorf("replaying %s: what lies behind the damage was not compared", name)
	}
	return nil
}
