#!/usr/bin/env bash
# Installs the Debian packages named, as root or with sudo, and starts none of their daemons, now or at the next boot.
set -euo pipefail

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif sudo -n true 2>/dev/null; then
    as_root=(sudo env)
fi
if [ -z "${as_root+set}" ] || ! command -v apt-get >/dev/null; then
    echo "Install these, as root, with your package manager: $*" >&2
    exit 1
fi

# Debian asks this file before it starts a daemon; a machine that has its own keeps it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
fi

# Starting at boot is another matter, which packages decide themselves: what they enabled is disabled again.
enabled() {
    systemctl --root=/ list-unit-files --state=enabled --no-legend --plain 2>/dev/null | cut -d' ' -f1 | LC_ALL=C sort || true
}
before=$(enabled)

echo "Installing: $*"
apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
"${apt[@]}" update
"${apt[@]}" install --yes --no-install-recommends "$@" </dev/null >/dev/null
LC_ALL=C comm -13 <(echo "$before") <(enabled) | xargs -r "${as_root[@]}" systemctl --root=/ --quiet disable
