package privsep

import "testing"

// TestRequestNames: what an administrator reads of a refused request says what was asked for.
func TestRequestNames(t *testing.T) {
	t.Parallel()
	one := liarAddress(4, 0, 32, 198, 51, 100, 7)
	for _, c := range []struct {
		kind    byte
		payload []byte
		want    string
	}{
		{kindOpen, append([]byte{openFile}, liarText("/etc/shadow")...), `open "/etc/shadow"`},
		{kindOpen, append([]byte{openWatch}, liarText("1:/etc/x")...), `watch "1:/etc/x"`},
		{kindCapture, []byte{0}, "open the interface"},
		{kindAnchor, append(append([]byte{anchorCheck}, liarText("x\x1b")...), 0), `check rules of anchor "x\x1b"`},
		{kindTable, liarTable(tableAdd, 1, "other", "banned", one), `add, anchor "other", table "banned", addresses: 1`},
		{kindTable, liarTable(tableDelete, 1, "", "", one), "delete, never-list, addresses: 1"},
		{kindKill, append([]byte{0, 1}, one...), "end states of 198.51.100.7"},
		{kindRead, append(append([]byte{readCounters}, liarText("a")...), liarText("t")...), `read counters, anchor "a", table "t"`},
	} {
		r, err := parseRequest(c.kind, c.payload)
		if err != nil {
			t.Fatal(c.want, err)
		}
		if got := r.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	for kind, ways := range map[byte][2]byte{
		kindOpen: {openFile, openWatch}, kindCapture: {}, kindAnchor: {anchorLoad, anchorCheck}, kindTable: {tableAdd, tableAwhile}, kindRead: {readInfo, readCounters},
	} {
		for way := ways[0]; way <= ways[1]; way++ {
			if got := (&request{kind: kind, way: way}).String(); got == "" || got[0] == ' ' || got[0] == ',' {
				t.Errorf("kind %d, way %d has no name: %q", kind, way, got)
			}
		}
	}
}
