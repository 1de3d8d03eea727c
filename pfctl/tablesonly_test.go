package pfctl_test

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// TestTablesOnly fills a table of the main ruleset, as fail2ban's actions without "-a" do, and loads nothing.
func TestTablesOnly(t *testing.T) {
	profile, err := pftest.ProfileByName("openbsd")
	if err != nil {
		t.Fatal(err)
	}
	pf := pftest.New(profile)
	ctx := context.Background()
	run := func(stdin string, args ...string) string {
		t.Helper()
		res, err := pf.Run(ctx, pfctl.Command{Args: args, Stdin: []byte(stdin)})
		if err != nil || res.Exit != 0 {
			t.Fatalf("pfctl %v: %v %s", args, err, res.Stderr)
		}
		return string(res.Stdout)
	}
	rules := "table <bad> persist\nblock drop quick from <bad> to any\npass all\n"
	run(rules, "-e", "-f", "-")
	before := run("", "-s", "rules")
	d, err := pfctl.New(pfctl.Config{TablesOnly: true, Banned: "bad", Suspects: "bad"}, pf, slog.New(slog.DiscardHandler), &leapClock{now: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	one := pfctl.Entry{Table: pfctl.Banned, Prefix: netip.MustParsePrefix("192.0.2.7/32")}
	if err := d.Start(ctx, []pfctl.Entry{one}); err != nil {
		t.Fatal(err)
	}
	if got := run("", "-t", "bad", "-T", "show"); strings.TrimSpace(got) != "192.0.2.7" {
		t.Errorf("table holds %q", got)
	}
	if after := run("", "-s", "rules"); after != before {
		t.Errorf("the rules changed from %q to %q", before, after)
	}
	for _, h := range d.Health() {
		if !h.OK {
			t.Errorf("%s: %s", h.Name, h.Text)
		}
	}
}
