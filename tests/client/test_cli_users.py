"""Users from the command line: made, listed, changed and removed, with a password that is never an argument."""

from __future__ import annotations

import json
import uuid

from shell import Shell


def test_a_user_is_made_changed_and_removed_by_name(shell: Shell) -> None:
    name = f"Ada {uuid.uuid4()}"
    made = shell.run("users", "add", name, "--scope", "read", "--max-size", "1MiB", stdin=b"a password of hers\n")
    assert made.returncode == 0, made.stderr
    assert b"password of hers" not in made.stdout + made.stderr
    id = made.stdout.decode().strip()
    shell.out("users", "update", name.lower(), "--scope", "upload", "--path-prefix", "reports")
    listed = [json.loads(line) for line in shell.out("users", "ls", "--json").splitlines()]
    (user,) = [one for one in listed if one["user_id"] == id]
    assert (user["name"], user["scopes"], user["path_prefix"]) == (name, ["upload"], "reports")
    assert user["limits"] == {"max_size": 1024**2}
    shell.out("users", "passwd", name, stdin=b"another one altogether\n")
    shell.out("users", "rm", id)
    assert id not in shell.out("users", "ls")


def test_a_user_without_a_password_is_not_made(shell: Shell) -> None:
    assert shell.refused("users", "add", "nobody", "--scope", "read")[0] == 2
    result = shell.run("users", "add", "nobody", "--scope", "read", stdin=b"short\n")
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"10 to 256" in result.stderr
