// Package sample holds the bundled samples: what PF, sshd and httpd of one made-up gateway logged on one day, with scans, brute force,
// backscatter, late packets and honest users among ordinary noise. README.md in its data folder says who does what.
//
// All addresses come from the documentation ranges of RFC 5737 and RFC 3849, so that no real host is ever accused.
package sample

import (
	"embed"
	"fmt"
	"io/fs"
	"time"
)

//go:generate go run ./make -o data

// Names of the files that Files holds.
const (
	Pflog     = "pflog.gz"   // as OpenBSD's pflogd(8) writes and newsyslog(8) compresses it
	AuthLog   = "authlog"    // sshd, by syslogd(8): dates have no year
	ErrorLog  = "error_log"  // Apache httpd 2.4
	AccessLog = "access_log" // Apache httpd 2.4, combined format
	Labels    = "labels.csv" // who should be banned and who must not, for replay --labels
)

//go:embed data
var embedded embed.FS

// Files gives the samples and their README.md, in one flat folder.
func Files() fs.FS {
	files, err := fs.Sub(embedded, "data")
	if err != nil {
		panic(fmt.Sprintf("sample: %v", err)) // the name is a constant that exists
	}
	return files
}

// Inputs names the files that are input to the detector: the packets first, then the logs.
func Inputs() []string { return []string{Pflog, AuthLog, ErrorLog, AccessLog} }

// Date is the day of the samples, from midnight to midnight. The logs' times without a zone are UTC, as Date is.
func Date() time.Time { return time.Date(2026, time.October, 14, 0, 0, 0, 0, time.UTC) }

// OwnNetworks lists the networks behind the gateway, which no detector should ever ban.
func OwnNetworks() []string { return []string{"203.0.113.0/24", "2001:db8:113::/48"} }

// Interface is the gateway's external interface, which carries its default routes.
const Interface = "em0"
