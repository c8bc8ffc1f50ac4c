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

[ ${#missing[@]} -eq 0 ] || "$(dirname "$0")/apt.sh" "${missing[@]}"
