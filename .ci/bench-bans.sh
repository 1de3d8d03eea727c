#!/bin/sh
# Measures how fast bans get from the log line into PF's table: "pfwarden run" and Debian's fail2ban, one after the other, over the same
# stand-in pfctl. Prints medians and ratios; exit status 1 where a promise is not kept.
# usage: .ci/bench-bans.sh [option of internal/livetest/bench…]     (needs go; python3 and apt-get for fail2ban; installs nothing)
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/pfwarden" ./cmd/pfwarden
go build -o "$work/pfctl" ./pfctl/pftest/pfctl
go build -o "$work/bench" ./internal/livetest/bench
if .ci/fetch-fail2ban.sh "$work/f2b" 2>/dev/null; then
	set -- -fail2ban "$work/f2b" "$@"
else
	echo "fail2ban cannot be had here: ours alone" >&2
fi
"$work/bench" -pfwarden "$work/pfwarden" -pfctl "$work/pfctl" "$@"
