#!/usr/bin/env bash
# Installs the servers that `make bench` measures fileferry against, and the load client: Debian packages with apt, the others
# at pinned versions below .services. Nothing is enabled or left running.
set -euo pipefail
cd "$(dirname "$0")/../.."

export PATH="$PATH:/usr/sbin"
if ! { command -v nginx && command -v rclone && command -v wrk; } >/dev/null; then
    scripts/apt.sh nginx-light rclone wrk
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
