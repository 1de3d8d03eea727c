#!/bin/sh
# Matches generated logs with fail2ban's own filters, by pfwarden and by Debian's fail2ban-regex in turns, and prints lines a second
# of processor time, medians and ratios; then what twenty jails on one file cost, and a line of a megabyte.
# usage: .ci/bench-filter.sh [lines [rounds]]     (default a million lines, 3 rounds: about ten minutes)
# FAIL2BAN_TREE: where Debian's package is unpacked; without it the package is fetched, and nothing of it is kept.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
tree=${FAIL2BAN_TREE:-$work/tree}
if [ ! -d "$tree" ]; then
	.ci/fetch-fail2ban.sh "$tree" 2>"$work/fault" || {
		echo "$0: skipped: Debian's fail2ban package cannot be had:" >&2
		cat "$work/fault" >&2
		exit 0
	}
fi
command -v python3 >/dev/null || { echo "$0: skipped: there is no python3 to run fail2ban-regex" >&2; exit 0; }
go build -o "$work/pfwarden" ./cmd/pfwarden
export PFWARDEN_BINARY="$work/pfwarden" PFWARDEN_FAIL2BAN="$tree"
export PYTHONPATH="$tree/usr/lib/python3/dist-packages" PFWARDEN_FAIL2BAN_REGEX="python3 $tree/usr/bin/fail2ban-regex"
FILTER_LINES=${1:-1000000} FILTER_ROUNDS=${2:-3} GOMAXPROCS=1 \
	go test -run '^$' -bench '^(BenchmarkBesideFail2ban|BenchmarkStockJails)$' -benchtime 1x -timeout 60m ./internal/loggen
go test -count=1 -run '^TestStock' -v ./internal/loggen
