#!/bin/sh
# Measures how fast bans reach PF: our driver and Debian's fail2ban, with the same stand-in pfctl on this machine, one after the other.
# usage: pfctl/bench/beside-fail2ban.sh [BANS]     (needs go, python3, apt-get; installs nothing)
set -eu
bans=${1:-2000}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
now() { date +%s%N; }
ms() { echo $((($2 - $1) / 1000000)); }

cd "$root"
go build -o "$work/pfctl" ./pfctl/pftest/pfctl
go build -o "$work/bench" ./pfctl/bench
echo "# ours: from the driver's Add to the table"
"$work/bench" -pfctl "$work/pfctl" -profile openbsd

echo "# Debian's fail2ban: from the log line to the table"
(cd "$work" && apt-get download fail2ban >/dev/null 2>&1 && dpkg -x fail2ban_*.deb f2b) || { echo "fail2ban cannot be had here"; exit 0; }
conf=$work/f2b/etc/fail2ban log=$work/auth.log
export PFTEST_STATE="$work/state" PFTEST_PROFILE=openbsd PYTHONPATH="$work/f2b/usr/lib/python3/dist-packages"
printf 'anchor "f2b/*"\npass all\n' | "$work/pfctl" -q -e -f -
rm -rf "$conf/jail.d"; mkdir "$conf/jail.d"
printf '[Definition]\nfailregex = failed login from <HOST>$\n' > "$conf/filter.d/bench.conf"
cat > "$conf/jail.d/bench.conf" <<CONF
[DEFAULT]
backend = polling
[bench]
enabled = true
filter = bench
maxretry = 1
findtime = 600
bantime = 3600
logpath = $log
action = pf[name=bench, pfctl="$work/pfctl -a f2b/bench", actiontype=<allports>]
CONF
: > "$log"
f2b() { python3 "$work/f2b/usr/bin/fail2ban-client" -c "$conf" -s "$work/f2b.sock" -p "$work/f2b.pid" "$@"; }
python3 "$work/f2b/usr/bin/fail2ban-server" -c "$conf" -s "$work/f2b.sock" -p "$work/f2b.pid" --logtarget "$work/f2b.log" -f start >/dev/null 2>&1 &
server=$!
until f2b ping >/dev/null 2>&1; do sleep 0.2; done
sleep 1
count() { "$work/pfctl" -a f2b/bench -t f2b-bench -T show 2>/dev/null | wc -l; }

# One ban at a time: the median of nine.
times=
for i in 1 2 3 4 5 6 7 8 9; do
	have=$(count) begin=$(now)
	echo "$(date '+%b %e %H:%M:%S') host login: failed login from 198.51.100.$i" >> "$log"
	while [ "$(count)" -le "$have" ]; do sleep 0.005; done
	times="$times $(ms "$begin" "$(now)")"
done
# shellcheck disable=SC2086  # a list of numbers
echo "fail2ban: a single ban: median $(printf '%s\n' $times | sort -n | sed -n 5p) ms (of$times)"

begin=$(now) have=$(count)
i=0
stamp=$(date '+%b %e %H:%M:%S')
while [ $i -lt "$bans" ]; do
	echo "$stamp host login: failed login from 100.64.$((i / 250)).$((i % 250 + 1))"
	i=$((i + 1))
done >> "$log"
while [ "$(count)" -lt $((have + bans)) ]; do
	sleep 0.1
	[ "$(ms "$begin" "$(now)")" -lt 300000 ] || { echo "fail2ban: not done after 300 s: $(count) of $bans"; exit 0; }
done
echo "fail2ban: $bans bans at once: in the table after $(ms "$begin" "$(now)") ms"
