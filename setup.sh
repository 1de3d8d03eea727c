#!/bin/sh
# Makes pfwarden from this source on a fresh machine and shows what it does: installs what the build needs (Debian's apt, or
# the BSDs' own package tools), builds ./pfwarden, and replays the bundled samples. Nothing is installed outside the packages,
# PF is not touched, no configuration is needed. As an ordinary user it asks doas or sudo for the packages, and does
# without what it cannot get: only a Go toolchain is indispensable.
#
#   sh setup.sh                 packages, build, replay of the samples
#   sh setup.sh --test-tools    also the servers and tools that the live tests use; they are skipped where those are missing
#   sh setup.sh --no-replay     stop after the build
#
# CGO_ENABLED=0 in the environment builds without a C compiler and libpcap.
set -eu
cd "$(dirname "$0")"

test_tools=no replay=yes
for argument; do
	case $argument in
	--test-tools) test_tools=yes ;;
	--no-replay) replay=no ;;
	*)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
		exit 2
		;;
	esac
done

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

# as_root runs a command with the rights that installing packages needs.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have doas; then
		doas "$@"
	elif have sudo; then
		sudo "$@"
	else
		echo "not root, and neither doas nor sudo is here: $*" >&2
		return 1
	fi
}

# install_packages asks the system's own package tool. What fails here shows later if it is really needed.
install_packages() {
	[ $# -gt 0 ] || return 0
	say "installing: $*"
	if have apt-get; then
		as_root apt-get -qq update || true
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >/dev/null
	elif have pkg; then
		as_root pkg install -y "$@"
	elif have pkg_add; then
		as_root pkg_add -I "$@"
	elif have pkgin; then
		as_root pkgin -y install "$@"
	else
		echo "no package tool known here" >&2
		return 1
	fi
}

# The BSDs have a C compiler and libpcap in their base system.
missing=
want() { have "$1" || missing="$missing $2"; }
system=$(uname -s)
PATH=$PATH:/usr/local/go/bin:/usr/pkg/go/bin
if [ "$system" = Linux ] && have apt-get; then
	if [ "${CGO_ENABLED:-1}" != 0 ]; then
		want gcc gcc
		[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
		[ -e /usr/include/pcap.h ] || missing="$missing libpcap-dev"
	fi
	if [ $test_tools = yes ]; then
		want tcpdump tcpdump
		want ip iproute2
		want apache2 apache2
		want htpasswd apache2-utils
		[ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
		want ssh openssh-client
		want sshpass sshpass
		want rsyslogd rsyslog
		want nmap nmap
		want nft nftables
		want iptables iptables
		want msmtp msmtp
		want python3 python3
		want curl curl
		want make make
		want bmake bmake
		want promtool prometheus
		want docker-compose docker-compose
		want shellcheck shellcheck
		want mandoc mandoc
	fi
else
	want go go
fi
# shellcheck disable=SC2086  # a list of words
install_packages $missing || echo "going on without:$missing" >&2

# Go 1.21 and newer fetch the toolchain that go.mod asks for; older ones, such as Debian 12's own package, cannot.
if ! have go || ! go list -m >/dev/null; then
	echo "setup: install Go $(sed -n 's/^go //p' go.mod) or newer (https://go.dev/dl/) and start again" >&2
	exit 1
fi

# Without a compiler Go leaves cgo out by itself; without libpcap's header we have to say so.
if [ "${CGO_ENABLED:-1}" != 0 ] && ! { [ -e /usr/include/pcap.h ] || [ -e /usr/local/include/pcap.h ] || [ -e /usr/pkg/include/pcap.h ]; }; then
	echo "setup: no pcap.h here, building without cgo; do the same for the tests: CGO_ENABLED=0 go test ./..." >&2
	export CGO_ENABLED=0
fi

say "building ./pfwarden with $(go version | cut -d' ' -f3)"
go build -trimpath -o pfwarden ./cmd/pfwarden
./pfwarden version
[ $replay = yes ] || exit 0

say "replaying the bundled samples: one day of a gateway"
exec ./pfwarden replay --samples
