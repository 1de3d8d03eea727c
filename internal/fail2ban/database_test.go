package fail2ban

import (
	"context"
	"crypto/sha1" //nolint:gosec // fail2ban's own choice
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
)

// fail2banDB makes a database as fail2ban's version 4 has it.
func fail2banDB(t *testing.T, path string, statements ...string) {
	t.Helper()
	drivers := sql.Drivers()
	if len(drivers) == 0 {
		t.Skip("this build has no SQLite")
	}
	db, err := sql.Open(drivers[0], (&url.URL{Scheme: "file", Path: path}).String())
	testkit.Must(t, err)
	defer db.Close()
	for _, s := range append([]string{
		"CREATE TABLE fail2banDb(version INTEGER)", "INSERT INTO fail2banDb VALUES(4)", "CREATE TABLE jails(name TEXT UNIQUE, enabled INTEGER)",
		"CREATE TABLE logs(jail TEXT, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER)",
		"CREATE TABLE bans(jail TEXT, ip TEXT, timeofban INTEGER, bantime INTEGER, bancount INTEGER, data JSON)",
		"CREATE TABLE bips(ip TEXT, jail TEXT, timeofban INTEGER, bantime INTEGER, bancount INTEGER, data JSON, PRIMARY KEY(ip, jail))",
	}, statements...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func TestImportDatabase(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "app.log")
	testkit.Must(t, os.WriteFile(log, []byte("first line\nsecond\n"), 0o644))
	testkit.Must(t, os.MkdirAll(filepath.Join(dir, "filter.d"), 0o755))
	testkit.Must(t, os.MkdirAll(filepath.Join(dir, "action.d"), 0o755))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "jail.conf"), []byte("[web]\nenabled = true\nfilter = x\nbantime = 600\naction = table\nlogpath = "+log+"\n"), 0o644))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "filter.d", "x.conf"), []byte("[Definition]\nfailregex = bad <HOST>$\n"), 0o644))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "action.d", "table.conf"), []byte("[Definition]\nactionban = pfctl -a f2b -t bad -T add <ip>\n"), 0o644))
	setup, err := Load(dir, Options{})
	testkit.Must(t, err)
	r := setup.Compile(RunOptions{})
	if len(r.Jails) != 1 {
		t.Fatalf("jails %v, faults %v", r.Jails, r.Faults)
	}
	now := time.Unix(1_700_000_000, 0)
	hash := sha1.Sum([]byte("first line\n")) //nolint:gosec // see above
	file := filepath.Join(dir, "db")
	data := `'{"matches": ["one", ["a ", "date", " b"]], "failures": 7, "user": "x"}'`
	fail2banDB(t, file,
		fmt.Sprintf("INSERT INTO bips VALUES('192.0.2.7','web',%d,600,3,%s)", now.Unix()-100, data),
		fmt.Sprintf("INSERT INTO bips VALUES('192.0.2.8','web',%d,600,1,'{}')", now.Unix()-1000),
		fmt.Sprintf("INSERT INTO bips VALUES('2001:db8::1','web',%d,-1,1,'{}')", now.Unix()-90000),
		fmt.Sprintf("INSERT INTO bips VALUES('192.0.2.9','gone',%d,600,1,'{}')", now.Unix()-10),
		fmt.Sprintf("INSERT INTO bips VALUES('192.0.2.10','web',%d,600,1,'{}')", now.Unix()+900_000_000),
		fmt.Sprintf("INSERT INTO bans VALUES('web','192.0.2.7',%d,600,1,'{}')", now.Unix()-5000),
		fmt.Sprintf("INSERT INTO bans VALUES('web','192.0.2.7',%d,600,3,%s)", now.Unix()-100, data),
		fmt.Sprintf("INSERT INTO bans VALUES('web','192.0.2.8',%d,600,1,'not json')", now.Unix()-1000),
		fmt.Sprintf("INSERT INTO logs VALUES('web','%s','%s',11)", log, hex.EncodeToString(hash[:])),
	)
	store := &ledger.Memory{}
	at := func(path string, offset int64) (capture.Position, error) {
		return capture.Position{Path: path, Identity: "x", Offset: offset}, nil
	}
	ctx := context.Background()
	got, err := r.Import(ctx, file, store, now, at)
	testkit.Must(t, err)
	if got.Live != 3 || got.History != 2 || got.Logs != 1 || got.Skipped != 1 {
		t.Errorf("imported %+v", got)
	}
	live, err := store.History(ctx, ledger.Query{LiveOnly: true, OldestFirst: true})
	testkit.Must(t, err)
	var texts []string
	for _, b := range live {
		texts = append(texts, fmt.Sprint(b.Prefix, " ", b.Table, " ", b.Scope, " ", b.Count, " ", b.Until.Unix(), " ", b.Story.Failures, " ", len(b.Story.Evidence)))
	}
	want := []string{"2001:db8::1/128 bad jail/web 1 -62135596800 0 0", fmt.Sprintf("192.0.2.7/32 bad jail/web 3 %d 7 2", now.Unix()+500), fmt.Sprintf("192.0.2.10/32 bad jail/web 1 %d 0 0", now.Unix()+600)}
	if !slices.Equal(texts, want) {
		t.Errorf("in force:\n%q\nwant\n%q", texts, want)
	}
	if live[1].Story.Evidence[1].Text != "a date b" {
		t.Errorf("evidence %q", live[1].Story.Evidence[1].Text)
	}
	snap, ok, err := store.LoadSnapshot(ctx)
	testkit.Must(t, err)
	if !ok || len(snap.Positions) != 1 || snap.Positions[0].Offset != 11 {
		t.Errorf("snapshot %+v", snap)
	}
	for _, later := range []time.Duration{0, time.Second, time.Hour, 900_000_001 * time.Second} { // behind the last, that of the future is past
		again, err := r.Import(ctx, file, store, now.Add(later), at)
		testkit.Must(t, err)
		if again.Live != 0 || again.History != 0 {
			t.Errorf("%v later a second import took over %+v", later, again)
		}
	}
}
