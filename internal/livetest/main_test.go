package livetest

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// TestMain lets more tests run at once than there are processors, unless -parallel says how many: most of their time they wait for other
// programs, and for bans to end.
func TestMain(m *testing.M) {
	flag.Parse()
	if most := flag.Lookup("test.parallel"); most != nil && most.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = most.Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0)))
	}
	os.Exit(m.Run())
}
