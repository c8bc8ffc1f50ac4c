#!/usr/bin/env bash
# Writes both locks anew from pyproject.toml, with a uv that leaves with the script; the first argument is a Python with pip.
# requirements.lock is what developers and CI have, deploy/server.lock what a server needs of it and no more.
set -euo pipefail
python=$1
uv=$(mktemp -d)
trap 'rm -rf "$uv"' EXIT

"$python" -m pip --disable-pip-version-check --quiet install --target "$uv" uv
compile=("$uv/bin/uv" pip compile pyproject.toml --extra server --universal --python-version 3.11
    --generate-hashes --no-annotate --no-header --quiet)
"${compile[@]}" --group dev --upgrade --output-file requirements.lock
# The framework names these for programs that make examples, which fileferry does not: 26 MB. Install with --no-deps.
"${compile[@]}" --constraints requirements.lock --no-emit-package faker --no-emit-package polyfactory \
    --no-emit-package tzdata --output-file deploy/server.lock
