"""The daily handling of files, keys and workspaces by the command line."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import typer
from shell import Shell

from fileferry.cli import app


@pytest.fixture
def name() -> str:
    return f"w{uuid.uuid4().hex[:12]}"


def put(shell: Shell, *options: str, content: bytes = b"x") -> dict[str, Any]:
    file: dict[str, Any] = json.loads(shell.out("put", "-", "--json", *options, stdin=content))
    return file


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for called, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from commands(child, (*words, called))
        else:
            yield (*words, called), child


EVERY = dict(commands(typer.main.get_command(app)))
# A skill is a text for models already.
OTHERS = {("serve",), ("worker",), ("mcp",), ("skill",)}


@pytest.mark.parametrize("words", [words for words in EVERY if words not in OTHERS], ids=" ".join)
def test_every_command_tells_programs_what_it_did(words: tuple[str, ...]) -> None:
    assert "--json" in {option for parameter in EVERY[words].params for option in parameter.opts}


@pytest.mark.parametrize(
    "words", [words for words in EVERY if words[0] in {"keys", "workspaces", "folders"}], ids=" ".join
)
def test_every_command_of_these_acts_in_any_organization(words: tuple[str, ...]) -> None:
    assert "--org" in {option for parameter in EVERY[words].params for option in parameter.opts}


@pytest.mark.parametrize("family", ["", "keys", "folders", "workspaces", "orgs", "webhooks"])
def test_a_verb_is_the_same_everywhere(family: str) -> None:
    of_family = {words[-1]: child for words, child in EVERY.items() if words[:-1] == ((family,) if family else ())}
    for verb, other in {"ls": "list", "rm": "delete", "show": "stat"}.items():
        assert (verb in of_family) == (other in of_family)
    shown = {verb for verb, child in of_family.items() if not child.hidden}
    assert shown & {"list", "delete"} == set()


def test_h_is_help(shell: Shell) -> None:
    assert "--profile" in shell.out("-h")
    assert "--scope" in shell.out("keys", "create", "-h")


def test_a_wrong_choice_is_told_the_right_ones(shell: Shell) -> None:
    status, said = shell.refused("keys", "create", "a", "--scope", "uplod")
    assert status == 2
    assert all(right in said for right in ("upload", "read", "delete", "admin"))
    status, said = shell.refused("webhooks", "deliveries", "a", "--state", "sent")
    assert (status, "delivered" in said) == (2, True)


def test_put_takes_a_folder_with_all_below_it(shell: Shell, name: str) -> None:
    below = shell.folder / "site" / "sub"
    below.mkdir(parents=True)
    (shell.folder / "site" / "b.txt").write_text("b")
    (below / "a.txt").write_text("a")
    os.symlink("/etc/hostname", below / "link")
    os.symlink("/etc", below / "folder")
    os.mkfifo(below / "pipe")
    shell.out("workspaces", "create", name)
    result = shell.run("put", "-r", "site", "--to", f"{name}:/www/")
    assert result.returncode == 0
    assert [httpx.get(url, trust_env=False).text for url in result.stdout.decode().splitlines()] == ["b", "a"]
    assert sorted(line.split(" is no plain")[0] for line in result.stderr.decode().splitlines()) == [
        f"site/sub/{left_out}" for left_out in ("folder", "link", "pipe")
    ]
    assert paths(shell, f"{name}:/") == ["www/site/b.txt", "www/site/sub/a.txt"]
    files = [json.loads(line) for line in shell.out("put", "-r", "--json", "site/sub/.").splitlines()]
    assert [(file["path"], file["at_path"]) for file in files] == [("sub/a.txt", False)]


def test_a_folder_is_not_taken_for_a_file(shell: Shell) -> None:
    (shell.folder / "site").mkdir()
    status, said = shell.refused("put", "site")
    assert (status, "put -r" in said) == (2, True)
    assert shell.refused("put", "-r", "site", "--name", "a")[0] == 2
    assert shell.refused("put", "-r", "site", "--path", "a")[0] == 2


def test_ls_tells_hand_offs_from_files_at_paths(shell: Shell) -> None:
    prefix = f"{shell.folder.name}/"
    handed = put(shell, "--name", f"{prefix}a")
    placed = put(shell, "--path", f"{prefix}b")
    assert shell.out("ls", prefix).splitlines() == [
        f"{handed['file_id']}\t{prefix}a\thand-off",
        f"{placed['file_id']}\t{prefix}b",
    ]
    assert [line.endswith("\thand-off") for line in shell.out("ls", "-l", prefix).splitlines()] == [True, False]


@pytest.mark.parametrize("place", ["nosuch:", "nosuch:/"])
def test_a_workspace_that_is_not_there_is_an_error(shell: Shell, place: str) -> None:
    status, said = shell.refused("ls", place)
    assert (status, "nosuch" in said) == (1, True)


def test_the_name_of_a_workspace_is_enough(shell: Shell, name: str) -> None:
    shell.out("workspaces", "create", name)
    (shell.folder / "a").write_text("1")
    shell.out("put", "a", "--to", f"{name}:")
    assert paths(shell, f"{name}:") == ["a"]


def test_stat_update_and_link_of_a_file(shell: Shell) -> None:
    file = put(shell, "--path", f"{shell.folder.name}/a.txt", "--meta", "old=1")
    source = f"default:/{shell.folder.name}/a.txt"
    assert shell.out("update", source, "--name", "b.txt", "--meta", "new=2", "--expires", "24h") == f"{renamed(file)}\n"
    found = json.loads(shell.out("stat", file["file_id"], "--json"))
    assert (found["name"], found["metadata"], found["expires_at"] is None) == ("b.txt", {"new": "2"}, False)
    assert "kind\tpath" in shell.out("show", file["file_id"]).splitlines()
    shell.out("update", file["file_id"], "--expires", "none")
    assert "expires\t-" in shell.out("stat", file["file_id"]).splitlines()
    assert shell.out("link", file["file_id"]).strip() == found["url"]
    link = json.loads(shell.out("link", file["file_id"], "--expires", "10m", "--json"))
    assert httpx.get(link["url"], trust_env=False).content == b"x"
    assert shell.refused("update", file["file_id"])[0] == 2


def test_preflight_prints_a_line_for_each_check_and_fails_where_one_does(shell: Shell) -> None:
    file = put(shell, "--path", f"{shell.folder.name}/a.txt")
    result = shell.run("preflight", file["file_id"], "--for", "slack")
    assert (result.returncode, result.stderr) == (1, b"Slack, an image block (image_url): failed\n")
    assert b"media_type\tfailed\t" in result.stdout
    assert "slack" in shell.refused("preflight", f"default:/{shell.folder.name}/a.txt", "--for", "?")[1]


def test_rm_takes_one_version(shell: Shell) -> None:
    path = f"{shell.folder.name}/a.txt"
    first, second = (put(shell, "--path", path, content=content) for content in (b"1", b"2"))
    assert shell.refused("rm", first["file_id"], "--version", second["version_id"])[0] == 1
    shell.out("rm", f"default:/{path}", "--version", first["version_id"])
    assert [line.split("\t")[0] for line in shell.out("versions", first["file_id"]).splitlines()] == [
        second["version_id"]
    ]
    assert shell.refused("rm", "a", "b", "--version", "1")[0] == 2


def test_keys_of_any_organization_are_named_by_name(shell: Shell, name: str) -> None:
    org = ["--org", name]
    shell.out("orgs", "create", name)
    made = json.loads(shell.out("keys", "create", "nightly", "--scope", "read", "--json", *org))
    assert json.loads(shell.out("keys", "show", "nightly", "--json", *org))["key_id"] == made["key_id"]
    assert "scopes\tread,upload" in shell.out("keys", "update", "nightly", "--scope", "read", "--scope", "upload", *org)
    assert json.loads(shell.out("keys", "limits", "nightly", "--max-files", "3", "--json", *org))["limits"] == {
        "max_files": 3
    }
    renewed = json.loads(shell.out("keys", "rotate", "nightly", "--json", *org))
    assert renewed["secret"] != made["secret"]
    shell.out("keys", "create", "nightly", "--scope", "read", *org)
    status, said = shell.refused("keys", "revoke", "nightly", *org)
    assert (status, made["key_id"] in said) == (1, True)
    shell.out("keys", "rm", made["key_id"], *org)
    shell.out("keys", "revoke", "nightly", *org)
    assert shell.refused("keys", "revoke", "nightly", *org)[0] == 1
    assert {
        key["revoked_at"] is None for key in map(json.loads, shell.out("keys", "list", "--json", *org).splitlines())
    } == {False}


def test_workspaces_are_changed_and_deleted(shell: Shell, name: str) -> None:
    shell.out("workspaces", "create", name, "--keep-versions", "3")
    shell.out("workspaces", "update", name, "--keep-versions", "all", "--keep-versions-for", "30d")
    assert shell.out("workspaces", "show", name).splitlines()[1:4] == [
        f"name\t{name}",
        "keep_versions\tall",
        "keep_versions_for\t2592000 s",
    ]
    shell.out("put", "-", "--to", f"{name}:/a", stdin=b"x")
    assert shell.refused("workspaces", "rm", name)[0] == 1
    shell.out("rm", "--permanent", f"{name}:/a")
    assert json.loads(shell.out("workspaces", "rm", name, "--json")) == {"deleted": name}
    assert name not in shell.out("workspaces", "ls")
    assert shell.refused("workspaces", "update", "default", "--keep-versions", "few")[0] == 2


def test_folders_are_deleted_by_their_paths(shell: Shell) -> None:
    path = f"{shell.folder.name}/inbox"
    shell.out("folders", "create", path)
    shell.out("folders", "delete", f"/{path}/")
    status, said = shell.refused("folders", "rm", path)
    assert (status, "folders ls" in said) == (1, True)


def test_a_transfer_that_waits_says_so_at_once_without_a_terminal(shell: Shell) -> None:
    (shell.folder / "a").write_text("1")
    result = shell.run("put", "a", "--url", "http://127.0.0.1:1", "--patience", "1s")
    assert result.returncode == 75
    assert "connection lost, trying again" in result.stderr.decode().splitlines()[0]


def test_the_completion_of_shells_is_offered(shell: Shell) -> None:
    shell.environment["_FILEFERRY_COMPLETE"] = "source_bash"
    assert "complete" in shell.out()


def paths(shell: Shell, place: str) -> list[str]:
    return [line.split("\t")[1] for line in shell.out("ls", place).splitlines()]


def renamed(file: dict[str, Any]) -> str:
    url: str = file["url"]
    return url.removesuffix("a.txt") + "b.txt"
