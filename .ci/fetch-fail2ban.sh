#!/bin/sh
# Fetches Debian's package fail2ban and unpacks it into a folder, to compare with; installs nothing.
# usage: .ci/fetch-fail2ban.sh FOLDER     (an absolute path)
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"
apt-get download -q fail2ban >/dev/null
dpkg -x fail2ban_*.deb "$1"
