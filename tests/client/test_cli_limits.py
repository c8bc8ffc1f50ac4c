"""Limits from the command line and the client: set when a key is made, changed, lifted, and shown with what is kept."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from shell import Shell

from support.live_server import LiveServer


@pytest.fixture
def slug(shell: Shell) -> str:
    """The slug of an organization that is the test's own."""
    slug = f"limits-{uuid.uuid4().hex[:12]}"
    shell.out("orgs", "create", slug)
    return slug


def shown(output: str) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in output.splitlines())


def test_a_key_is_made_with_everything_that_confines_it(shell: Shell) -> None:
    name = f"a key {uuid.uuid4()}"
    limits = "--max-size 10MiB --max-retention 30d --max-bytes 1GB --max-files 5 --requests 100/minute --bytes 9/day"
    types = ["--tickets", "7/hour", "--type", "text/csv", "--type", "application/pdf"]
    confined = [
        "--scope",
        "upload",
        "--scope",
        "read",
        "--path-prefix",
        "reports/",
        "--on-behalf-of",
        "alice",
        "--on-behalf-of",
        "bob",
    ]
    secret = shell.out("keys", "create", name, *confined, *limits.split(), *types).strip()
    listed = [json.loads(line) for line in shell.out("keys", "list", "--json").splitlines()]
    (made,) = [key for key in listed if key["name"] == name]
    assert (made["path_prefix"], made["on_behalf_of"]) == ("reports", ["alice", "bob"])
    assert made["limits"] == {
        "max_size": 10 * 1024**2,
        "types": ["text/csv", "application/pdf"],
        "max_retention": 30 * 86400,
        "max_bytes": 10**9,
        "max_files": 5,
        "requests": "100/minute",
        "bytes": "9/day",
        "tickets": "7/hour",
    }
    assert made["usage"] == {"bytes": 0, "files": 0}
    assert shell.refused("ls", "--key", secret)[0] == 1


def test_a_keys_limits_are_changed_and_lifted(shell: Shell) -> None:
    name = f"a key {uuid.uuid4()}"
    secret = shell.out("keys", "create", name, "--scope", "upload", "--max-size", "1kB").strip()
    (shell.folder / "large.txt").write_bytes(b"x" * 2000)
    status, said = shell.refused("put", "large.txt", "--key", secret)
    assert status == 1
    assert "file_too_large" in said
    listed = [json.loads(line) for line in shell.out("keys", "list", "--json").splitlines()]
    (id,) = [key["key_id"] for key in listed if key["name"] == name]
    changed = shown(shell.out("keys", "limits", id, "--max-size", "none", "--max-files", "1", "--type", "text/plain"))
    assert changed == {"types": "text/plain", "max_files": "1", "kept": "0 bytes, 0 files"}
    shell.out("put", "large.txt", "--key", secret)
    assert "quota_exceeded" in shell.refused("put", "large.txt", "--key", secret)[1]
    assert shown(shell.out("keys", "limits", id))["kept"] == "2000 bytes, 1 files"
    assert shell.out("keys", "limits", id, "--type", "none", "--max-files", "none") == ""
    judged = shown(shell.out("keys", "limits", id, "--refuse-empty", "--no-serve-unscanned"))
    assert judged == {"refuse_empty": "yes", "serve_unscanned": "no"}


def test_what_a_key_is_confined_to_is_shown_and_changed(shell: Shell) -> None:
    name = f"a key {uuid.uuid4()}"
    shell.out("keys", "create", name, "--scope", "read", "--path-prefix", "reports")
    listed = [json.loads(line) for line in shell.out("keys", "list", "--json").splitlines()]
    (id,) = [key["key_id"] for key in listed if key["name"] == name]
    made = {"name": name, "scopes": "read", "path_prefix": "reports", "on_behalf_of": "-", "last_used": "-"}
    assert shown(shell.out("keys", "show", id)) == made
    changed = shown(
        shell.out("keys", "update", id, "--path-prefix", "none", "--on-behalf-of", "a", "--on-behalf-of", "b")
    )
    assert changed == {**made, "path_prefix": "-", "on_behalf_of": "a,b"}
    assert shown(shell.out("keys", "update", id, "--on-behalf-of", "none"))["on_behalf_of"] == "-"
    shell.out("keys", "limits", id, "--requests", "3/minute")
    assert shown(shell.out("keys", "show", id))["requests"] == "3/minute"


def test_an_organizations_limits_and_those_of_its_end_users(shell: Shell, slug: str) -> None:
    assert shown(shell.out("orgs", "limits", slug, "--max-bytes", "5GB")) == {
        "max_bytes": "5000000000",
        "kept": "0 bytes, 0 files",
    }
    of_users = shown(shell.out("orgs", "limits", slug, "--end-users", "--max-files", "3", "--requests", "5/minute"))
    assert of_users == {"max_files": "3", "requests": "5/minute"}
    assert shown(shell.out("orgs", "limits", slug))["max_bytes"] == "5000000000"
    assert shown(shell.out("orgs", "limits", slug, "--end-users")) == of_users


def test_a_workspaces_limits(shell: Shell, slug: str) -> None:
    of_slug = ["workspaces", "limits", "default", "--org", slug]
    assert shown(shell.out(*of_slug, "--max-retention", "1d")) == {"max_retention": "86400"}
    assert shown(shell.out(*of_slug)) == {"max_retention": "86400"}


@pytest.mark.parametrize(
    "options", [["--max-size", "big"], ["--max-files", "many"], ["--requests", "x"], ["--type", "pdf"]]
)
def test_what_is_no_limit_is_refused(shell: Shell, slug: str, options: list[str]) -> None:
    assert shell.refused("orgs", "limits", slug, *options)[0] in (1, 2)


def test_the_client_changes_what_a_key_may_do(server: LiveServer, connect: Any) -> None:
    client = connect(server.url, server.root_key)
    made = client.create_key("a key", scopes=["upload"], path_prefix="a/b", on_behalf_of=["*"])
    assert (made.path_prefix, made.on_behalf_of, made.usage) == ("a/b", ("*",), None)
    named = client.update_key(made.key_id, name="renamed", scopes=["read"], path_prefix=None)
    assert (named.name, named.scopes, named.path_prefix) == ("renamed", ("read",), None)
    assert named.on_behalf_of == ("*",)
    freed = client.update_key(made.key_id, on_behalf_of=None, limits={"max_files": 2})
    assert client.get_key(made.key_id) == freed
    small = client.create_workspace(f"small-{uuid.uuid4()}", limits={"max_files": 2})
    assert small.limits == {"max_files": 2}
    assert (freed.on_behalf_of, freed.limits, freed.usage.files) == (None, {"max_files": 2}, 0)
