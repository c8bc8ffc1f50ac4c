#!/usr/bin/env bash
# Makes the virtual environment named by the first argument: locked dependencies, and this project as an editable install.
set -euo pipefail
venv=$1

# A candidate is run, not only looked up: a version manager's shim may exist for a Python that is not active.
for python in "${PYTHON3:-python3}" python3.13 python3.12 python3.11; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    python=
done
if [ -z "$python" ]; then
    echo "fileferry needs Python 3.11 or newer; name one with PYTHON3=/path/to/python3 make setup" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments: run \`make services\`, or install your system's python3-venv" >&2
    exit 1
fi

echo "Installing the locked dependencies into $venv ..."
"$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet)
"${pip[@]}" install --require-hashes --requirement requirements.lock
"${pip[@]}" install --no-build-isolation --no-deps --editable .
