#!/usr/bin/env bash
# Writes requirements.lock anew from pyproject.toml, with a uv that leaves with the script; the first argument is a Python with pip.
set -euo pipefail
python=$1
uv=$(mktemp -d)
trap 'rm -rf "$uv"' EXIT

"$python" -m pip --disable-pip-version-check --quiet install --target "$uv" uv
"$uv/bin/uv" pip compile pyproject.toml --group dev --universal --python-version 3.11 \
    --generate-hashes --no-annotate --no-header --quiet --upgrade --output-file requirements.lock
