package livetest

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// fullDiskCases are starts on a disk that is full to the last byte, with empty tables and a ledger that is sound or cannot be used as it is: the daemon comes up
// all the same, PF gets the bans that can be read and others that are made, the health page is red and says why, and when there is room the ledger holds
// all of it.
func fullDiskCases() map[string]func(*testing.T, *gateway) {
	return map[string]func(*testing.T, *gateway){
		"disk full at the start": func(t *testing.T, g *gateway) { fullDisk(t, g, func(string) {}, 30, "") },
		"disk full, ledger to be begun": func(t *testing.T, g *gateway) {
			fullDisk(t, g, func(path string) { testkit.Must(t, os.Remove(path)) }, 0, "")
		},
		"disk full, ledger to be migrated": func(t *testing.T, g *gateway) { fullDisk(t, g, func(path string) { downgrade(t, path) }, 30, "") },
		"disk full, ledger to be replaced": func(t *testing.T, g *gateway) {
			fullDisk(t, g, func(path string) { damage(t, path) }, 30, "ledger_replaced")
		},
	}
}

// fullDisk has spoil do something to the ledger of a daemon that was stopped; kept is how many of its bans come back into tables that are empty, item what is
// unwell even when there is room.
func fullDisk(t *testing.T, g *gateway, spoil func(path string), kept int, item string) {
	log, jail := g.authLog()
	disk := g.smallDisk()
	g.store = filepath.Join(disk, "db", "pfwarden.db")
	g.run(jail)
	const bans = 30
	for i := range bans {
		failures(t, log, fmt.Sprintf("198.51.101.%d", 1+i), 5)
	}
	testkit.Within(t, 20*time.Second, "all bans are in the table", func() bool { return len(g.table("banned")) == bans })
	g.stop()
	g.standIn("-a", "pfwarden", "-t", "banned", "-T", "flush")
	spoil(g.store)
	ballast := fill(t, disk)
	g.again()
	testkit.Within(t, 20*time.Second, "the bans are in the table again", func() bool { return len(g.table("banned")) == kept })
	if said := g.unwell("ledger"); !strings.Contains(said, "disk full") {
		t.Errorf("the health page says %q", said)
	}
	failures(t, log, "203.0.113.9", 5)
	testkit.Within(t, 20*time.Second, "another ban is in the table", func() bool { return g.table("banned")["203.0.113.9"] })
	if said := g.said(); !strings.Contains(said, "disk full") || !strings.Contains(said, g.store) {
		t.Errorf("the log does not say that the disk of %s is full:\n%s", g.store, said)
	}
	testkit.Must(t, os.Remove(ballast))
	testkit.Within(t, time.Minute, "the ledger is well", func() bool {
		_, bad := g.healthz()
		return item == "" && len(bad) == 0 || item != "" && len(bad) == 1 && bad[item] != ""
	})
	g.kill() // what was only in memory would be gone
	g.again()
	if list := g.bans(); len(list) != kept+1 || list["203.0.113.9"].Jail != "sshd" {
		t.Errorf("the ledger has %d bans, want %d", len(list), kept+1)
	}
	g.well()
}

// downgrade gives a ledger the layout of version 3.
func downgrade(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	testkit.Must(t, err)
	_, err = db.Exec("ALTER TABLE snapshot DROP COLUMN waiting; PRAGMA user_version = 3")
	testkit.Must(t, err)
	testkit.Must(t, db.Close())
}

// damage makes one index of a ledger unreadable.
func damage(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	testkit.Must(t, err)
	var root, size int64
	testkit.Must(t, db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = 'bans_first'").Scan(&root))
	testkit.Must(t, db.QueryRow("PRAGMA page_size").Scan(&size))
	testkit.Must(t, db.Close())
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	testkit.Must(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, int(size)), (root-1)*size)
	testkit.Must(t, err)
	testkit.Must(t, f.Close())
}
