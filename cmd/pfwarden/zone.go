package main

import (
	"strings"
	"time"
	_ "time/tzdata" // zones by name in the worker's empty root, and where none are installed

	"pfwarden/detect/filter/date"
)

// localZone makes TZ mean what POSIX says where it holds a rule ("CET-1CEST,M3.5.0,M10.5.0"): Go knows names of zones only, and takes anything
// else for UTC.
func localZone(tz string) {
	name := strings.TrimPrefix(tz, ":")
	if name == "" || strings.HasPrefix(name, "/") {
		return
	}
	if _, err := time.LoadLocation(name); err == nil {
		return
	}
	if l, err := date.POSIXLocation(name); err == nil {
		time.Local = l
	}
}
