package fail2ban

import (
	"bufio"
	"context"
	"crypto/md5"  //nolint:gosec // fail2ban's own choice; nothing is protected by it
	"crypto/sha1" //nolint:gosec // likewise
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// Imported says what came out of fail2ban's database.
type Imported struct {
	Live, History int
	Logs          int
	Skipped       int      // bans of jails that are not there, or that cannot be read
	Notes         []string // what was passed over, at most twenty
}

// schema is the version of fail2ban's database that is understood.
const schema = 4

// maxImported bounds how many bans are taken over.
const maxImported = 1_000_000

// Import takes fail2ban's bans over into an empty or running ledger: those in force by now as live ones, in the tables that their jails fill,
// the others as history, from which growing ban times are derived. Bans that the ledger holds already are not taken twice. at gives the
// position of an offset in a log, for those that fail2ban had read.
func (r *Running) Import(ctx context.Context, path string, store ledger.Store, now time.Time, at func(path string, offset int64) (capture.Position, error)) (*Imported, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := ledger.OpenForeign(path)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var version int
	if err := db.QueryRowContext(ctx, "SELECT version FROM fail2banDb LIMIT 1").Scan(&version); err != nil {
		return nil, fmt.Errorf("%s is no database of fail2ban's: %w", path, err)
	}
	if version != schema {
		return nil, fmt.Errorf("%s has schema %d, expected %d: let a current fail2ban bring it up to date", path, version, schema)
	}
	i := &importer{running: r, now: now, counts: make(map[string]int), have: make(map[string]bool)}
	if err := i.known(ctx, store); err != nil {
		return nil, err
	}
	if err := i.bans(ctx, db); err != nil {
		return nil, err
	}
	for batch := range slices.Chunk(i.list, 1000) {
		if err := store.Record(ctx, ledger.Batch{Bans: batch}); err != nil {
			return nil, fmt.Errorf("writing bans into the ledger: %w", err)
		}
	}
	return &i.out, i.logs(ctx, db, store, at)
}

type importer struct {
	running *Running
	now     time.Time
	next    int64
	counts  map[string]int
	have    map[string]bool // bans that the ledger holds
	list    []ledger.Ban
	out     Imported
}

func (i *importer) note(format string, a ...any) {
	i.out.Skipped++
	if len(i.out.Notes) < 20 {
		i.out.Notes = append(i.out.Notes, fmt.Sprintf(format, a...))
	}
}

func banKey(jail string, p netip.Prefix, ident string, since time.Time) string {
	return fmt.Sprintf("%s %v %s %d", jail, p, ident, since.Unix())
}

// importer's name in the ledger, and how the reason of a ban begins that it took over. The date behind it is fail2ban's: that of the ban in the ledger may be
// another one, since none begins in the future, and clocks are set.
const (
	importedBy   = "fail2ban"
	importedFrom = "taken over from fail2ban's database"
	importedAt   = ", where it is dated "
)

// datedBy gives the time at which fail2ban dated a ban that was taken over before.
func datedBy(b *ledger.Ban) time.Time {
	for _, reason := range b.Reasons {
		if text, ok := strings.CutPrefix(reason, importedFrom+importedAt); ok {
			if at, err := time.Parse(time.RFC3339, text); err == nil {
				return at
			}
		}
	}
	return b.Since
}

// known finds out what the ledger holds.
func (i *importer) known(ctx context.Context, store ledger.Store) error {
	start, err := store.Start(ctx)
	if err != nil {
		return err
	}
	i.next = start.LastID
	before, err := store.History(ctx, ledger.Query{By: importedBy, Limit: 2 * maxImported, WithoutStory: true})
	if err != nil {
		return err
	}
	for n := range before {
		b := &before[n]
		i.have[banKey(b.Jail, b.Prefix, b.Ident, datedBy(b))] = true
	}
	return store.Walk(ctx, time.Time{}, func(p ledger.Past) error {
		i.have[banKey(p.Jail, p.Prefix, p.Ident, p.Since)] = true
		return nil
	})
}

// bans reads the history, then what is in force, both oldest first.
func (i *importer) bans(ctx context.Context, db *sql.DB) error {
	live := make(map[string]bool)
	for _, q := range []struct {
		text string
		live bool
	}{
		{"SELECT jail, ip, timeofban, bantime, bancount, data FROM bips ORDER BY timeofban", true},
		{"SELECT jail, ip, timeofban, bantime, bancount, data FROM bans ORDER BY timeofban", false},
	} {
		rows, err := db.QueryContext(ctx, q.text)
		if err != nil {
			return fmt.Errorf("reading fail2ban's database: %w", err)
		}
		for rows.Next() {
			var jail, ip string
			var since, length float64
			var count int
			var data []byte
			if err := rows.Scan(&jail, &ip, &since, &length, &count, &data); err != nil {
				rows.Close()
				return fmt.Errorf("reading fail2ban's database: %w", err)
			}
			b, ok := i.ban(jail, ip, since, length, count, data)
			if !ok || len(i.list) >= maxImported {
				continue
			}
			key := banKey(jail, b.Prefix, b.Ident, datedBy(&b))
			inForce := b.Until.IsZero() || b.Until.After(i.now)
			switch {
			case q.live && !inForce, i.have[key], live[key]:
				continue
			case q.live:
				live[key] = true
				i.out.Live++
			default:
				b.State, b.EndWhy, b.EndedBy = ledger.Ended, "expired", importedBy
				if b.Ended = b.Until; inForce { // it is in force no more, or again since
					b.Ended, b.EndWhy = i.now, "replaced"
				}
				i.out.History++
			}
			i.have[key] = true
			i.list = append(i.list, b)
		}
		err = rows.Err()
		rows.Close()
		if err != nil {
			return fmt.Errorf("reading fail2ban's database: %w", err)
		}
	}
	slices.SortStableFunc(i.list, func(a, b ledger.Ban) int { return a.Since.Compare(b.Since) })
	for n := range i.list {
		i.next++
		b := &i.list[n]
		source := fmt.Sprint(b.Jail, " ", b.Prefix, " ", b.Ident)
		b.ID, i.counts[source] = i.next, i.counts[source]+1
		b.Count = max(b.Count, i.counts[source])
	}
	return nil
}

// ban makes a ban of a row.
func (i *importer) ban(jail, ip string, since, length float64, count int, data []byte) (b ledger.Ban, ok bool) {
	j := i.running.Jail(jail)
	if j == nil {
		i.note("a ban of %s: there is no jail %s", ip, jail)
		return b, false
	}
	const first, last = 1, 253402300799 // the first second that the ledger does not take for "none", and the last that RFC 3339 can write
	if !(since >= first) {
		since = first
	}
	dated := time.Unix(int64(min(since, last)), 0).UTC()
	since = min(since, float64(i.now.Unix())) // by a clock that was ahead: the ledger would be taken to be as far ahead of ours
	b = ledger.Ban{Jail: jail, Scope: j.Warden.ScopeOf(jail), Table: j.Warden.Table, State: ledger.Intended, By: importedBy, Count: max(count, 1),
		Since: time.Unix(int64(since), 0), Reasons: []string{importedFrom + importedAt + dated.Format(time.RFC3339)}}
	if a, err := netip.ParseAddr(ip); err == nil {
		a = a.Unmap().WithZone("")
		b.Prefix = netip.PrefixFrom(a, a.BitLen())
	} else if p, err := netip.ParsePrefix(ip); err == nil {
		b.Prefix, b.Ident = p.Masked(), p.Masked().String()
	} else {
		b.Ident, b.Table = ip, ""
	}
	if length >= 0 {
		b.Until = b.Since.Add(seconds(length))
	}
	b.Story = story(data, jail, b.Since)
	return b, true
}

// story reads what fail2ban kept of a ban: matched lines, failures and the groups of its filter.
func story(data []byte, jail string, at time.Time) (s ledger.Story) {
	var d struct {
		Matches  []json.RawMessage `json:"matches"`
		Failures int               `json:"failures"`
	}
	if json.Unmarshal(data, &d) != nil {
		return s
	}
	s.Failures = d.Failures
	const most = 32
	for _, m := range d.Matches[:min(len(d.Matches), most)] {
		var text string
		var parts []string
		if json.Unmarshal(m, &text) != nil && json.Unmarshal(m, &parts) == nil {
			text = strings.Join(parts, "")
		}
		const longest = 1024
		s.Evidence = append(s.Evidence, detect.Evidence{Time: at, Jail: jail, Text: strings.ToValidUTF8(text[:min(len(text), longest)], "\uFFFD")})
	}
	return s
}

// logs takes over how far fail2ban had read, unless the ledger has positions of its own.
func (i *importer) logs(ctx context.Context, db *sql.DB, store ledger.Store, at func(string, int64) (capture.Position, error)) error {
	if _, has, err := store.LoadSnapshot(ctx); err != nil || has || at == nil {
		return err
	}
	rows, err := db.QueryContext(ctx, "SELECT path, firstlinemd5, MIN(lastfilepos) FROM logs GROUP BY path, firstlinemd5")
	if err != nil {
		return fmt.Errorf("reading fail2ban's database: %w", err)
	}
	defer rows.Close()
	snap := ledger.Snapshot{Time: i.now}
	for rows.Next() {
		var path, hash string
		var offset int64
		if err := rows.Scan(&path, &hash, &offset); err != nil {
			return fmt.Errorf("reading fail2ban's database: %w", err)
		}
		if !i.running.Reads(path) || !sameFirstLine(path, hash) { // in this order: nothing else is opened
			continue // another file stands there now: it is read from its beginning
		}
		p, err := at(path, offset)
		if err != nil {
			i.note("log position of %s: %v", path, err)
			continue
		}
		snap.Positions = append(snap.Positions, p)
		i.out.Logs++
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading fail2ban's database: %w", err)
	}
	if len(snap.Positions) == 0 {
		return nil
	}
	return store.SaveSnapshot(ctx, snap)
}

// sameFirstLine tells whether a log begins with the line that fail2ban saw; it keeps a hash of it.
func sameFirstLine(path, hash string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	const longest = 1 << 20
	r := bufio.NewReaderSize(f, longest)
	line, err := r.ReadSlice('\n')
	if err != nil {
		return false
	}
	s, m := sha1.Sum(line), md5.Sum(line) //nolint:gosec // see above
	return hash == hex.EncodeToString(s[:]) || hash == hex.EncodeToString(m[:])
}
