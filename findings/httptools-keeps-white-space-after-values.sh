#!/usr/bin/env bash
# httptools 0.9.0 hands a header's value on with the white space that follows it, and uvicorn 0.54.0 gives it to the application so.
#
# Expected: white space around a field's value is no part of it (RFC 9110 section 5.5; RFC 9112 section 5.1), whichever parser uvicorn uses.
# Seen on 2026-11-30 with Python 3.11.7: of "X-Padded:  5 " the application gets b"5 " with httptools, and b"5" with h11 0.16.0. With uvicorn[standard]
# httptools is the one that is used, so that a padded key, offset or tag is another one there.
#
# Exits with 0 while that is so, and with 1 when both give b"5" or something else is seen.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[[ -z "$server" ]] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip --disable-pip-version-check --quiet install uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0

cat >echo.py <<'PY'
async def app(scope, receive, send):
    if scope["type"] == "http":
        value = dict(scope["headers"])[b"x-padded"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(value).encode()})
PY

cat >ask.py <<'PY'
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as connection:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Padded:  5 \r\nConnection: close\r\n\r\n")
    answer = b""
    while block := connection.recv(4096):
        answer += block
print(answer.partition(b"\r\n\r\n")[2].split(b"\r\n")[1].decode())
PY

outcome() {
  venv/bin/python -m uvicorn echo:app --http "$1" --host 127.0.0.1 --port 0 >"$1.log" 2>&1 &
  server=$!
  local port=
  while [[ -z "$port" ]]; do
    kill -0 "$server"
    sleep 0.1
    port=$(sed -n 's/.*running on http:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$1.log")
  done
  venv/bin/python ask.py "$port" >"$1.txt"
  kill "$server"
  wait "$server" || true
  server=
}

outcome httptools
outcome h11
echo "httptools: $(cat httptools.txt)"
echo "h11:       $(cat h11.txt)"
[[ $(cat httptools.txt) == "b'5 '" && $(cat h11.txt) == "b'5'" ]]
