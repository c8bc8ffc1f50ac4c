#!/usr/bin/env bash
# Installs the servers that `make bench` measures fileferry against, and the load client: Debian packages with apt, the others
# at pinned versions below .services. Nothing is enabled or left running.
set -euo pipefail
cd "$(dirname "$0")/../.."

export PATH="$PATH:/usr/sbin"
if ! { command -v nginx && command -v rclone && command -v wrk; } >/dev/null; then
    [ "$(id -u)" -eq 0 ] && as_root=(env) || as_root=(sudo env)
    # Debian asks this file before it starts a daemon; a machine that has its own keeps it.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '"${as_root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    fi
    apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    "${apt[@]}" update
    "${apt[@]}" install --yes --no-install-recommends nginx-light rclone wrk </dev/null >/dev/null
fi

if command -v npm >/dev/null; then
    mkdir -p .services/tus
    cp benchmarks/setup/{package.json,package-lock.json,.npmrc} .services/tus/
    npm --prefix .services/tus --silent ci
else
    echo "@tus/server needs Node.js 20.19 or newer with npm: install them and run this again." >&2
fi

python3 -m venv .services/copyparty
.services/copyparty/bin/pip --disable-pip-version-check --quiet install -r benchmarks/setup/copyparty.txt
