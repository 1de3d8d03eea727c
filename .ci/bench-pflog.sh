#!/bin/sh
# Times the pflog reader beside "tcpdump -nr FILE --count" on a generated file, in turns, and prints the medians.
# usage: .ci/bench-pflog.sh [records]     (default five million, a file of about 770 MB in $TMPDIR)
set -eu
cd "$(dirname "$0")/.."
command -v tcpdump >/dev/null || { echo "$0: tcpdump is not installed" >&2; exit 1; }
PFLOG_RECORDS=${1:-5000000} exec go test -run '^$' -bench '^BenchmarkBesideTCPDump$' -benchtime 1x -timeout 20m ./capture/pflog
