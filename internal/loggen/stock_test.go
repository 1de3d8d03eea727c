package loggen

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/debian"
)

// stockFilters are fail2ban's filters that read the logs written here.
var stockFilters = map[string]string{"sshd": "sshd", "apache": "apache-auth", "nginx": "nginx-http-auth", "postfix": "postfix"}

// stockFolder is the configuration of Debian's package.
func stockFolder(t testing.TB) string {
	t.Helper()
	return filepath.Join(debian.Fail2ban(t), "etc", "fail2ban")
}

// stockSet compiles filters of Debian's package.
func stockSet(t testing.TB, specs ...string) *filter.Set {
	t.Helper()
	dir := stockFolder(t)
	return compile(t, func(spec string) (filter.Definition, error) { return fail2ban.FilterDefinition(dir, spec, "") }, specs)
}

// TestStockFiltersFindThem: fail2ban's own filters find the failures written.
func TestStockFiltersFindThem(t *testing.T) {
	for _, kind := range Kinds() {
		spec := stockFilters[kind]
		if kind == "postfix" {
			spec = "postfix[mode=aggressive]" // the default mode leaves failed log-ins out
		}
		set, got := stockSet(t, spec), 0
		lines, want := generate(t, kind, 5000)
		for i, l := range lines {
			set.Match(capture.Line{Text: l, Number: uint64(i + 1)}, time.Time{}, func(_ int, c filter.Candidate) { got++ })
		}
		if got != want {
			t.Errorf("%s: %d failures found, %d written", kind, got, want)
		}
	}
}

// BenchmarkStock: lines a second of processor time by fail2ban's own filters, with 5 % failures.
func BenchmarkStock(b *testing.B) {
	for _, kind := range Kinds() {
		b.Run(kind, func(b *testing.B) {
			set := stockSet(b, stockFilters[kind])
			lines, _ := generate(b, kind, 20_000)
			feed(b, set, lines)
		})
	}
}

// stockNames are all filters of the fail2ban folder that compile; the parts that others include do not.
func stockNames(t testing.TB) (names []string) {
	t.Helper()
	dir := stockFolder(t)
	files, err := filepath.Glob(filepath.Join(dir, "filter.d", "*.conf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no filters in %s (%v)", dir, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		def, err := fail2ban.FilterDefinition(dir, name, "")
		if err != nil || len(def.Failregex) == 0 {
			continue
		}
		if _, err := filter.Compile(def, filter.Options{}); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// TestStockLongLine: a line of a megabyte costs no stock filter more than 50 ms of processor time, whatever it repeats.
func TestStockLongLine(t *testing.T) {
	const size, most = 1 << 20, 50 * time.Millisecond
	heads := []string{"", "Nov 22 15:20:08 gw sshd[12]: Failed password for ", "Nov 22 15:20:08 gw postfix/smtpd[12]: NOQUEUE: reject: RCPT from ", "[Sun Nov 22 15:20:08.000000 2026] [auth_basic:error] [pid 1] [client 1.2.3.4:5] user "}
	fillers := []string{"a", " ", "1.2.3.4 ", "::", " from 1.2.3.4 port 22 ssh2", "é", `"`, "[", "user x from ", "a: ", "<a>"}
	worst, worstName := time.Duration(0), ""
	names := stockNames(t)
	for _, name := range names {
		set := stockSet(t, name)
		for _, head := range heads {
			for _, filler := range fillers {
				line := capture.Line{Text: head + strings.Repeat(filler, size/len(filler))}
				spent := time.Hour
				for try := 0; try < 3 && spent > most; try++ { // the garbage of others is not the filter's
					before := testkit.ProcessorTime()
					set.Match(line, time.Time{}, func(int, filter.Candidate) {})
					spent = min(spent, testkit.ProcessorTime()-before)
				}
				if spent > worst {
					worst, worstName = spent, name
				}
				if spent > most {
					t.Errorf("%s: %v on a line of %q after %q", name, spent, filler, head)
				}
			}
		}
	}
	t.Logf("%d filters, worst %v by %s", len(names), worst, worstName)
}

// BenchmarkStockJails: what twenty jails on one file cost beside one.
func BenchmarkStockJails(b *testing.B) {
	lines, _ := generate(b, "sshd", 50_000)
	specs := []string{"sshd", "postfix", "dovecot", "apache-auth", "nginx-http-auth", "pam-generic", "proftpd", "vsftpd", "pure-ftpd", "named-refused",
		"exim", "courier-auth", "cyrus-imap", "sendmail-auth", "asterisk", "webmin-auth", "dropbear", "perdition", "sieve", "solid-pop3d"}
	rate := func(specs ...string) float64 {
		set := stockSet(b, specs...)
		rates := make([]float64, 5)
		for i := range rates {
			used := testkit.ProcessorTime()
			for _, l := range lines {
				set.Match(capture.Line{Text: l}, time.Time{}, func(int, filter.Candidate) {})
			}
			rates[i] = float64(len(lines)) / (testkit.ProcessorTime() - used).Seconds()
		}
		slices.Sort(rates)
		return rates[len(rates)/2]
	}
	for b.Loop() {
		one, twenty := rate(specs[0]), rate(specs...)
		b.ReportMetric(one/twenty, "times-one-jail")
		b.Logf("one jail %.0f, %d jails %.0f lines a second of processor time: %.2f times the cost of one", one, len(specs), twenty, one/twenty)
	}
}
