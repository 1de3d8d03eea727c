package detect

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSnapshot: a restored detector goes on as the one that was saved.
func TestSnapshot(t *testing.T) {
	for seed := range uint64(5) {
		w := &workload{r: rand.New(rand.NewPCG(seed, 2))}
		d, _ := New(workConfig())
		for range 4000 {
			w.input().feed(d, func(Verdict) {})
		}
		var saved, again bytes.Buffer
		if err := d.Snapshot(&saved); err != nil {
			t.Fatal(err)
		}
		c := workConfig()
		c.Seed = 99 // the saved one counts
		restored, _ := New(c)
		if err := restored.Restore(bytes.NewReader(saved.Bytes()), d.Now()); err != nil {
			t.Fatal(err)
		}
		if err := restored.Snapshot(&again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(saved.Bytes(), again.Bytes()) {
			t.Fatalf("seed %d: the restored detector's snapshot differs", seed)
		}
		var want, got bytes.Buffer
		for range 4000 {
			in := w.input()
			in.feed(d, logTo(&want))
			in.feed(restored, logTo(&got))
		}
		if want.Len() == 0 || !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Fatalf("seed %d: verdict logs differ:\n%s", seed, cmp.Diff(want.String(), got.String()))
		}
	}
}

// TestSnapshotRefused: whatever is wrong with a snapshot, the error says so and the detector is as new.
func TestSnapshotRefused(t *testing.T) {
	w := &workload{r: rand.New(rand.NewPCG(1, 3))}
	d, _ := New(workConfig())
	for range 2000 {
		w.input().feed(d, func(Verdict) {})
	}
	var b bytes.Buffer
	if err := d.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	flip := func(i int) []byte { x := bytes.Clone(good); x[i] ^= 0x10; return x }
	tests := []struct {
		name string
		b    []byte
		now  time.Time
		want error
	}{
		{"empty", nil, time.Time{}, ErrSnapshotDamaged},
		{"something else", []byte("SQLite format 3\x00 and more of it"), time.Time{}, ErrSnapshotDamaged},
		{"cut off", good[:len(good)/2], time.Time{}, ErrSnapshotDamaged},
		{"checksum cut off", good[:len(good)-1], time.Time{}, ErrSnapshotDamaged},
		{"a bit flipped in the middle", flip(len(good) / 2), time.Time{}, ErrSnapshotDamaged},
		{"a bit flipped in the seed", flip(len(snapshotMagic) + 3), time.Time{}, ErrSnapshotDamaged},
		{"a bit flipped in the checksum", flip(len(good) - 3), time.Time{}, ErrSnapshotDamaged},
		{"of a later version", append(append([]byte(snapshotMagic), snapshotVersion+1), good[len(snapshotMagic)+1:]...), time.Time{}, ErrSnapshotVersion},
		{"of last month", good, d.Now().Add(30 * 24 * time.Hour), ErrSnapshotStale},
		{"of next month", good, d.Now().Add(-30 * 24 * time.Hour), ErrSnapshotStale},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := New(workConfig())
			r.feedOne(t)
			if err := r.Restore(bytes.NewReader(tt.b), tt.now); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, expected %v", err, tt.want)
			}
			fresh, _ := New(workConfig())
			var x, y bytes.Buffer
			if r.Snapshot(&x) != nil || fresh.Snapshot(&y) != nil || !bytes.Equal(x.Bytes(), y.Bytes()) {
				t.Error("the detector is not as new")
			}
		})
	}
}

// TestSnapshotAnywhere: a snapshot that is cut off, or has a bit flipped, at whichever byte is refused, with one of the causes that are counted.
func TestSnapshotAnywhere(t *testing.T) {
	c := Config{Seed: 1, Portscan: PortscanConfig{Slots: 8, Doorkeeper: 64}, Limits: Limits{Contacts: 8, Trails: 8, Companies: 8, Bans: 8}, Jails: []JailConfig{jail("sshd", 5, time.Hour)}}
	b := newBench(t, c)
	b.feed(fail("sshd", "192.0.2.9", 0))
	b.feed(scanOf("2001:db8:1::1", 1, 3)...)
	b.Notice(Notice{Time: at(5), Kind: Banned, Source: netip.MustParsePrefix("192.0.2.2/32"), Jail: "sshd"})
	b.Notice(Notice{Time: at(5), Kind: Contact, Source: netip.MustParsePrefix("192.0.2.3/32")})
	var saved bytes.Buffer
	if err := b.Snapshot(&saved); err != nil {
		t.Fatal(err)
	}
	good := saved.Bytes()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if err := r.Restore(bytes.NewReader(good[:i]), at(10)); !errors.Is(err, ErrSnapshotDamaged) {
			t.Fatalf("cut off after %d of %d bytes: %v", i, len(good), err)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		err := r.Restore(bytes.NewReader(bad), at(10))
		if !errors.Is(err, ErrSnapshotDamaged) && !errors.Is(err, ErrSnapshotVersion) && !errors.Is(err, ErrSnapshotStale) {
			t.Fatalf("byte %d of %d damaged: %v", i, len(good), err)
		}
	}
	if err := r.Restore(bytes.NewReader(good), at(10)); err != nil {
		t.Fatal(err)
	}
}

func (d *Detector) feedOne(t *testing.T) {
	t.Helper()
	d.Observe([]Observation{fail("sshd", "192.0.2.9", 0), probe("192.0.2.9", 0, "203.0.113.1", 1)}, func(Verdict) {})
}

// TestSnapshotReconfigured: what still fits is taken over.
func TestSnapshotReconfigured(t *testing.T) {
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 5, time.Hour), jail("gone", 5, time.Hour)}})
	for i := range 4 {
		b.feed(fail("sshd", "192.0.2.7", float64(i)))
		b.feed(fail("gone", "192.0.2.8", float64(i)))
	}
	for _, o := range scanOf("192.0.2.9", 0, 6) {
		b.feed(o)
	}
	var saved bytes.Buffer
	if err := b.Snapshot(&saved); err != nil {
		t.Fatal(err)
	}
	c := newBench(t, Config{Jails: []JailConfig{jail("new", 2, time.Hour), jail("sshd", 5, time.Hour)}, Portscan: PortscanConfig{Slots: 1 << 14, Doorkeeper: 1 << 14}})
	if err := c.Restore(&saved, time.Time{}); err != nil {
		t.Fatal(err)
	}
	c.feed(fail("sshd", "192.0.2.7", 5))
	c.feed(probe("192.0.2.9", 7, "203.0.113.5", 999))
	if got, want := c.told(), "192.0.2.7 sshd proven; 192.0.2.9 portscan spoofable"; got != want {
		t.Errorf("verdicts: %s\nexpected: %s", got, want)
	}
}

// tinyConfig is workConfig with tables so small that a fuzzer gets through many of them.
func tinyConfig() Config {
	c := workConfig()
	c.Portscan.Slots, c.Portscan.Doorkeeper = 64, 1
	c.Limits = Limits{Sources: 20, EvidenceBytes: 2000, CountBytes: 20000, Contacts: 8, Bans: 8, Trails: 8, Companies: 4}
	return c
}

// bodyOf makes a small snapshot and returns what stands between its header and its checksum.
func bodyOf(t testing.TB) []byte {
	t.Helper()
	w := &workload{r: rand.New(rand.NewPCG(1, 4))}
	d, _ := New(tinyConfig())
	for range 60 {
		w.input().feed(d, func(Verdict) {})
	}
	var b bytes.Buffer
	if err := d.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	e := &encoder{}
	e.i(d.now)
	return b.Bytes()[len(snapshotMagic)+1+8+len(e.b) : b.Len()-8]
}

// restoreBody gives bytes to the sections' parsers, around the checksum, and then goes on with what they made of it.
func restoreBody(data []byte) error {
	r, _ := New(tinyConfig())
	x := &decoder{r: bytes.NewReader(data), left: len(data)}
	for _, section := range []func(*decoder){r.loadScan, r.loadContacts, r.loadBans, r.loadLogs, r.loadPrefixes, r.loadGuesses} {
		if section(x); x.err != nil {
			break
		}
	}
	w := &workload{r: rand.New(rand.NewPCG(1, 5))}
	for range 50 {
		w.input().feed(r, func(Verdict) {})
	}
	_ = r.Snapshot(io.Discard)
	return x.err
}

// TestRestoreMutated: bytes of a snapshot changed at random do no harm.
func TestRestoreMutated(t *testing.T) {
	body := bodyOf(t)
	if err := restoreBody(body); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	n := 20000
	if testing.Short() {
		n = 1000
	}
	damaged := 0
	for range n {
		data := bytes.Clone(body)
		for range 1 + r.IntN(4) {
			data[r.IntN(len(data))] = byte(r.IntN(256))
		}
		if restoreBody(data) != nil {
			damaged++
		}
	}
	t.Logf("%d of %d were noticed without the checksum", damaged, n)
}

func FuzzRestore(f *testing.F) {
	body := bodyOf(f)
	f.Add(body)
	f.Add(body[:len(body)/3])
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = restoreBody(data)
		r, _ := New(tinyConfig())
		if err := r.Restore(bytes.NewReader(data), time.Time{}); err == nil {
			t.Error("something else was taken for a snapshot")
		}
	})
}
