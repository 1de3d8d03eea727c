package fail2ban

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
)

// FuzzImport takes over databases of fail2ban's that hold anything at all, and some of whose bytes were changed: what makes no sense is left out or ends the
// import with an error; what comes into the ledger are addresses, of the jail that is there.
func FuzzImport(f *testing.F) {
	for _, c := range []struct {
		ip, jail    string
		at, lasting int64
		data        string
		damage      uint32
		put         string
	}{
		{"198.51.100.7", "web", 1_699_999_900, 600, `{"matches": ["one", ["a ", "date", " b"]], "failures": 7}`, 0, ""}, {"198.51.100.0/24", "web", 1, -1, `{}`, 0, ""}, {"2001:db8::1%eth0", "web", -1, 0, `[]`, 0, ""},
		{"::ffff:198.51.100.7", "web", 1 << 62, 1 << 62, `{"matches": {}}`, 0, ""}, {"o'name; rm -rf /", "web", -1 << 63, -1 << 63, `{"matches": [[["x"]]], "failures": 1e400}`, 0, ""}, {"", "", 0, 0, "\xff\x00", 0, ""},
		{"198.51.100.7", "gone", 1_699_999_900, 600, `{"failures": "seven"}`, 0, ""}, {"0.0.0.0/0", "web", 1_699_999_900, 1 << 40, `null`, 0, ""}, {"198.51.100.7", "web", 1_699_999_900, 600, `{}`, 18, "\xff\xff"},
		{"198.51.100.7", "web", 1_699_999_900, 600, `{}`, 100, "\x05\x05"}, {"198.51.100.7", "web", 1_699_999_900, 600, `{}`, 20480, "\xff\xff\xff\xff\xff\xff"}, {"198.51.100.7", "web", 1_699_999_900, 600, `{}`, 28, "\x00\x00\x00\x01"},
	} {
		f.Add(c.ip, c.jail, c.at, c.lasting, []byte(c.data), c.damage, []byte(c.put))
	}
	drivers := sql.Drivers()
	if len(drivers) == 0 {
		f.Skip("this build has no SQLite")
	}
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, ip, jail string, at, lasting int64, data []byte, damage uint32, put []byte) {
		dir := folder(t, "jail.conf", "[web]\nenabled = true\nfilter = x\nbantime = 600\naction = table\nlogpath = /nonexistent\n", "filter.d/x.conf", "[Definition]\nfailregex = bad <HOST>$\n",
			"action.d/table.conf", "[Definition]\nactionban = pfctl -a f2b -t bad -T add <ip>\n")
		setup, err := Load(dir, Options{AllowMissingLogs: true})
		testkit.Must(t, err)
		r := setup.Compile(RunOptions{})
		path := filepath.Join(dir, "db")
		fail2banDB(t, path)
		db, err := sql.Open(drivers[0], (&url.URL{Scheme: "file", Path: path}).String())
		testkit.Must(t, err)
		for _, table := range []string{"bans(jail, ip, timeofban, bantime, bancount, data)", "bips(jail, ip, timeofban, bantime, bancount, data)"} {
			_, err = db.Exec("INSERT INTO "+table+" VALUES(?, ?, ?, ?, ?, ?)", jail, ip, at, lasting, lasting, data)
			testkit.Must(t, err)
		}
		_, err = db.Exec("INSERT INTO logs VALUES(?, ?, ?, ?)", jail, ip, string(data), at)
		testkit.Must(t, err)
		testkit.Must(t, db.Close())
		if len(put) > 0 {
			whole, err := os.ReadFile(path)
			testkit.Must(t, err)
			if int(damage) < len(whole) {
				copy(whole[damage:], put)
			}
			testkit.Must(t, os.WriteFile(path, whole, 0o600))
		}
		store := &ledger.Memory{}
		position := func(path string, offset int64) (capture.Position, error) {
			return capture.Position{Path: path, Offset: offset}, nil
		}
		out, err := r.Import(t.Context(), path, store, now, position)
		if err != nil {
			return
		}
		bans, err := store.History(t.Context(), ledger.Query{})
		testkit.Must(t, err)
		if len(bans) != out.Live+out.History {
			t.Errorf("%d bans in the ledger, %d and %d are told of", len(bans), out.Live, out.History)
		}
		for _, b := range bans {
			if b.Jail != "web" || b.Ident == "" && !b.Prefix.IsValid() || b.Prefix.IsValid() && b.Prefix != b.Prefix.Masked() {
				t.Errorf("taken over: %+v", b)
			}
		}
		again, err := r.Import(t.Context(), path, store, now.Add(time.Minute), position)
		if err != nil || again.Live+again.History != 0 {
			t.Errorf("a second import took over %+v, %v", again, err)
		}
	})
}
