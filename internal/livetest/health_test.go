package livetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"pfwarden/internal/testkit"
)

// healthz gives the health page's status and the items that are not as they should be, by name.
func (g *gateway) healthz() (status int, bad map[string]string) {
	g.t.Helper()
	resp, err := http.Get("http://" + g.metrics + "/healthz")
	testkit.Must(g.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	testkit.Must(g.t, err)
	var page struct {
		Items []struct {
			Item, Text, Remedy string
			OK                 bool
		}
	}
	testkit.Must(g.t, json.Unmarshal(body, &page))
	bad = make(map[string]string)
	for _, i := range page.Items {
		if !i.OK {
			bad[i.Item] = i.Text + " | " + i.Remedy
		}
	}
	return resp.StatusCode, bad
}

// unwell waits until a health item is red on the page, in the metrics and in status, and returns what it says.
func (g *gateway) unwell(item string) string {
	g.t.Helper()
	var said string
	testkit.Within(g.t, 10*time.Second, item+" is red", func() bool {
		status, bad := g.healthz()
		said = bad[item]
		return status == http.StatusServiceUnavailable && said != ""
	})
	if want := fmt.Sprintf("pfwarden_health{item=%q} 0", item); !strings.Contains(g.scrape(), want) {
		g.t.Errorf("metrics do not say %s", want)
	}
	if text := g.cli("status"); !strings.Contains(text, item) {
		g.t.Errorf("status does not name %s:\n%s", item, text)
	}
	return said
}

func (g *gateway) well() {
	g.t.Helper()
	var bad map[string]string
	var status int
	defer func() {
		if g.t.Failed() {
			g.t.Logf("health: %d %v", status, bad)
		}
	}()
	testkit.Within(g.t, 10*time.Second, "all is well again", func() bool {
		status, bad = g.healthz()
		return status == http.StatusOK
	})
}

// metric reads one series.
func (g *gateway) metric(series string) float64 {
	g.t.Helper()
	for _, line := range strings.Split(g.scrape(), "\n") {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			var x float64
			if _, err := fmt.Sscan(value, &x); err != nil {
				g.t.Fatalf("%s: %v", line, err)
			}
			return x
		}
	}
	return -1
}

var inBlock = regexp.MustCompile(`In/Block: +\[ Packets: (\d+)`)

// counted is what PF itself says of an address that is alone in its table.
func (g *gateway) counted(table, address string) string {
	g.t.Helper()
	out := g.standIn("-a", "pfwarden", "-t", table, "-v", "-T", "show")
	_, rest, found := strings.Cut(out, address+"\n")
	m := inBlock.FindStringSubmatch(rest)
	if !found || m == nil {
		return "?"
	}
	return m[1]
}
