#!/usr/bin/env bash
# Installs, with apt and once, the programs that tests start: nothing is enabled or left running.
set -euo pipefail

missing=()
need() { # need PACKAGE PROBE...: the package is missing when the probe fails
    "${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

# The one list: a package and the command that succeeds where it is installed.
need chromium chromium --version
need curl curl --version
need python3-venv python3 -c 'import ensurepip, venv'

[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif sudo -n true 2>/dev/null; then
    as_root=(sudo env)
fi
if [ -z "${as_root+set}" ] || ! command -v apt-get >/dev/null; then
    echo "Install these, as root, with your package manager: ${missing[*]}" >&2
    exit 1
fi

# Debian asks this file before it starts a daemon; a machine that has its own keeps it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
fi

echo "Installing: ${missing[*]}"
apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
"${apt[@]}" update
"${apt[@]}" install --yes --no-install-recommends "${missing[@]}" </dev/null >/dev/null
