#!/usr/bin/env bash
# Typer 0.29.2 loads Pydantic for every command that has a parameter, to read a plain string or number; 0.28.0 has no such dependency.
#
# Expected: a command with one integer option starts about as fast, and in about as much memory, with a newer minor version.
# Seen on 2026-11-30 with Python 3.11.7: Pydantic is loaded, and the command takes 30 MiB instead of 16 and 0.21 s of computing instead of 0.11.
# A program that runs for long, such as a server behind a command line, keeps that memory for as long as it runs.
#
# Exits with 0 while that is so, and with 1 when 0.29.2 does without Pydantic or 0.28.0 does not.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >command.py <<'PY'
import resource
import sys

import typer

app = typer.Typer()


@app.command()
def run(number: int = 1) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print("pydantic" in sys.modules, f"{used.ru_maxrss / 1024:.0f} MiB", f"{used.ru_utime + used.ru_stime:.2f} s")


app()
PY

outcome() {
  python3 -m venv "$1"
  "$1/bin/pip" --disable-pip-version-check --quiet install "typer==$1"
  "$1/bin/python" command.py --number 2 >/dev/null # compiles what is loaded
  "$1/bin/python" command.py --number 2
}

old=$(outcome 0.28.0)
new=$(outcome 0.29.2)
echo "0.28.0: $old"
echo "0.29.2: $new"
[[ $old == False* && $new == True* ]]
