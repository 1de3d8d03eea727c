package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"pfwarden/internal/ledger"
)

// TextOptions shape the text report.
type TextOptions struct {
	Location *time.Location // of times; nil = UTC
	Bans     int            // bans to list at most, those that stopped most first if there are more; 0 = 50
}

// Text writes the report for people. Control characters from logs are shown, never sent to the terminal.
func (r *Report) Text(w io.Writer, o TextOptions) error {
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Bans <= 0 {
		o.Bans = 50
	}
	t := &textWriter{Writer: bufio.NewWriter(w), o: o}
	t.head(r)
	t.bans(r)
	t.jails(r)
	for _, k := range r.Rankings {
		t.ranking(k)
	}
	t.scores(r)
	return t.Flush()
}

type textWriter struct {
	*bufio.Writer
	o TextOptions
}

func (t *textWriter) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *textWriter) title(s string) {
	t.line("\n%s\n%s", s, strings.Repeat("─", utf8.RuneCountInString(s)))
}

func (t *textWriter) head(r *Report) {
	t.line("%s records: %s packets, %s lines%s", number(r.Records), number(r.Packets), number(r.Lines), also(", %s that could not be read", r.Rejected))
	if r.First != nil {
		t.line("from %s to %s (%s)", t.time(*r.First), t.time(*r.Last), span(r.Last.Sub(*r.First)))
	}
	about := ""
	if !r.SourcesExact {
		about = "about "
	}
	banned := ""
	switch r.BannedAddresses {
	case 0:
	case 1:
		banned = ", one was banned"
	default:
		banned = fmt.Sprintf(", %s were banned", number(uint64(r.BannedAddresses)))
	}
	if banned != "" {
		banned += fmt.Sprintf(" in %s, which stopped %s%s", count(r.BanEvents, "ban"), count(r.StoppedPackets, "later packet"), also(" (%s of them had been let in)", r.Passed))
	}
	t.line("%s%s gave evidence%s", about, count(r.Sources, "source"), banned)
	if r.Gated > 0 {
		t.line("%s stopped by a gate: see below", count(r.Gated, "verdict"))
	}
	if len(r.Timeline.Bins) == 0 {
		return
	}
	t.title(fmt.Sprintf("Timeline, %s a step", span(r.Timeline.Width)))
	for _, row := range []struct {
		name string
		of   func(Bin) uint64
	}{
		{"blocked", func(b Bin) uint64 { return b.Blocked }},
		{"failures", func(b Bin) uint64 { return b.Failures }},
		{"bans", func(b Bin) uint64 { return b.Bans }},
		{"stopped", func(b Bin) uint64 { return b.Stopped }},
	} {
		line, highest := sparkline(r.Timeline.Bins, row.of)
		if highest > 0 {
			t.line("%-8s %s  max %s", row.name, line, number(highest))
		}
	}
}

// sparkline draws one character a step; a step with anything in it is never blank.
func sparkline(bins []Bin, of func(Bin) uint64) (string, uint64) {
	levels := []rune("▁▂▃▄▅▆▇█")
	highest := uint64(0)
	for _, b := range bins {
		highest = max(highest, of(b))
	}
	line := make([]rune, len(bins))
	for i, b := range bins {
		n := of(b)
		if line[i] = ' '; n > 0 {
			line[i] = levels[int(math.Ceil(float64(n)/float64(highest)*float64(len(levels))))-1]
		}
	}
	return string(line), highest
}

func (t *textWriter) bans(r *Report) {
	if len(r.Bans) == 0 {
		t.line("\nNobody would have been banned.")
		return
	}
	list := r.Bans
	if len(list) > t.o.Bans {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b ledger.Ban) int {
			switch {
			case a.Packets != b.Packets:
				if a.Packets > b.Packets {
					return -1
				}
				return 1
			}
			return a.Since.Compare(b.Since)
		})
		list = list[:t.o.Bans]
		t.title(fmt.Sprintf("Bans (the %d that stopped most, of %s)", t.o.Bans, number(r.BanEvents)))
	} else {
		t.title("Bans")
	}
	for i := range list {
		b := &list[i]
		proof := "spoofable"
		if b.Proven {
			proof = "proven"
		}
		step := ""
		if b.Step > 0 {
			step = fmt.Sprintf(", step %d", b.Step)
		}
		t.line("%s  %s  into %s for %s (%s%s)%s", t.time(b.Since), plain(address(b)), plain(b.Table), length(b), proof, step, stopped(b))
		for _, reason := range b.Reasons {
			t.line("    %s", plain(reason))
		}
	}
	if n := uint64(len(r.Bans)-len(list)) + r.Unlisted; n > 0 {
		t.line("… and %s more", number(n))
	}
}

func length(b *ledger.Ban) string {
	if b.Permanent() {
		return "ever"
	}
	return span(b.Until.Sub(b.Since))
}

func stopped(b *ledger.Ban) string {
	if b.Packets == 0 {
		return ", nothing came after it"
	}
	return ", stopped " + count(b.Packets, "later packet")
}

func (t *textWriter) jails(r *Report) {
	if len(r.Jails) == 0 {
		return
	}
	t.title("By jail")
	tab := tabwriter.NewWriter(t, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "jail\tbans\tproven\tsources\tstopped packets\t")
	for _, j := range r.Jails {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t\n", plain(jailName(j.Jail)), number(j.Bans), number(j.Proven), number(j.Sources), number(j.Stopped))
	}
	tab.Flush()
}

func jailName(s string) string {
	if s == "" {
		return "(by hand)"
	}
	return s
}

func (t *textWriter) ranking(k Ranking) {
	t.title(fmt.Sprintf("%s (%s)", k.Title, k.Unit))
	width, highest := 0, uint64(1)
	for _, row := range k.Rows {
		width, highest = max(width, utf8.RuneCountInString(plain(row.Name))), max(highest, row.Count)
	}
	width = min(width, 48)
	for _, row := range k.Rows {
		name := clip(plain(row.Name), width)
		bar := strings.Repeat("▇", max(1, int(float64(row.Count)/float64(highest)*24+.5)))
		t.line("%-*s  %12s  %s", width, name, number(row.Count), bar)
	}
	if k.Shed > 0 {
		t.line("(%s more, of too many different ones to follow each)", number(k.Shed))
	}
}

func (t *textWriter) scores(r *Report) {
	if len(r.Scores) == 0 {
		return
	}
	t.title("Against the labels")
	tab := tabwriter.NewWriter(t, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "class\twanted\tsources\tbanned\trecall\tmedian time to ban\trecords before\t")
	for _, s := range r.Scores {
		want, recall := "yes", fmt.Sprintf("%.3f", s.Recall)
		if !s.Want {
			want, recall = "no", fmt.Sprintf("harm %.3f", s.Recall)
		}
		median, before := "–", "–" // of nobody
		if s.Banned > 0 {
			median, before = span(time.Duration(s.MedianSeconds*float64(time.Second))), strconv.FormatUint(s.PacketsBeforeBan, 10)
		}
		fmt.Fprintf(tab, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t\n", plain(s.Class), want, s.Sources, s.Banned, recall, median, before)
	}
	tab.Flush()
}

func (t *textWriter) time(at time.Time) string {
	return at.In(t.o.Location).Format("2006-01-02 15:04:05 MST")
}

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	if d < 0 {
		return "-" + span(-d)
	}
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	d = d.Round(time.Second)
	var parts []string
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", n, u.name))
			d -= n * u.size
		}
	}
	return strings.Join(parts[:min(len(parts), 2)], " ")
}

// number groups thousands.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

func also(format string, n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, number(n))
}

// Plain makes text from logs harmless for a terminal: control and invisible characters are written as escapes.
func Plain(s string) string { return plain(s) }

// plain makes text from logs harmless: control and invisible characters, which could steer a terminal, are written as escapes.
func plain(s string) string {
	if strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x80:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}
