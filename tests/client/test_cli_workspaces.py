"""Workspaces from the command line: WORKSPACE:/PATH wherever a file is named, versions, and taking deletions back."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from shell import Shell


@pytest.fixture
def name(shell: Shell) -> str:
    """The name of a workspace that is the test's own."""
    name = f"cli {uuid.uuid4()} ü"
    shell.out("workspaces", "create", name)
    return name


def put(shell: Shell, to: str, body: bytes) -> dict[str, Any]:
    file: dict[str, Any] = json.loads(shell.out("put", "-", "--to", to, "--json", stdin=body))
    return file


def test_a_workspace_has_the_id_and_the_organization_that_were_asked_for(shell: Shell) -> None:
    chosen, slug = str(uuid.uuid4()), f"cli-{uuid.uuid4().hex}"
    shell.out("orgs", "create", slug)
    options = ["--id", chosen, "--org", slug, "--keep-versions", "2", "--keep-versions-for", "30d"]
    assert shell.out("workspaces", "create", "reports", *options).strip() == chosen
    listed = [json.loads(line) for line in shell.out("workspaces", "ls", "--org", slug, "--json").splitlines()]
    (made,) = [workspace for workspace in listed if workspace["workspace_id"] == chosen]
    assert (made["name"], made["keep_versions"], made["keep_versions_for"]) == ("reports", 2, 30 * 86400)
    assert [chosen, "reports"] in [
        line.split("\t")[::2] for line in shell.out("workspaces", "ls", "--org", slug).splitlines()
    ]
    assert chosen not in shell.out("workspaces", "ls")


def test_put_and_get_name_a_file_by_its_path_in_a_workspace(shell: Shell, name: str) -> None:
    (shell.folder / "report.txt").write_bytes(b"1")
    assert shell.out("put", "report.txt", "--to", f"{name}:/in box/100%.txt").startswith("http://")
    file = json.loads(shell.out("put", "report.txt", "--to", f"{name}:/in box/", "--json"))
    assert (file["path"], file["name"]) == ("in box/report.txt", "report.txt")
    shell.out("put", "report.txt", "--name", "top.txt", "--to", f"{file['workspace_id']}:/")
    assert [line.split("\t")[1] for line in shell.out("ls", f"{name}:/").splitlines()] == [
        "in box/100%.txt",
        "in box/report.txt",
        "top.txt",
    ]
    assert shell.out("ls", f"{name}:/in box/r") == f"{file['file_id']}\tin box/report.txt\n"
    assert shell.out("get", f"{name}:/in box/report.txt", "-o", "-") == "1"
    shell.out("get", f"{name}:/top.txt")
    assert (shell.folder / "top.txt").read_bytes() == b"1"


def test_many_files_go_to_a_folder_of_a_workspace(shell: Shell, name: str) -> None:
    for file in ("a", "b"):
        (shell.folder / file).write_text(file)
    assert len(shell.out("put", "a", "b", "--to", f"{name}:/many/").splitlines()) == 2
    assert shell.out("get", f"{name}:/many/b", "-o", "-") == "b"


def test_versions_are_listed_and_fetched(shell: Shell, name: str) -> None:
    at = f"{name}:/a.txt"
    old, new = put(shell, at, b"old"), put(shell, at, b"newer")
    lines = [line.split("\t") for line in shell.out("versions", at).splitlines()]
    assert [(line[0], line[2], line[3]) for line in lines] == [
        (new["version_id"], "5", "ready"),
        (old["version_id"], "3", "ready"),
    ]
    listed = [json.loads(line) for line in shell.out("versions", new["file_id"], "--json").splitlines()]
    assert [version["is_current"] for version in listed] == [True, False]
    for source in (at, old["file_id"]):
        assert shell.out("get", source, "--version", old["version_id"], "-o", "-") == "old"
    assert shell.out("get", at, "-o", "-") == "newer"


def test_what_rm_takes_restore_brings_back(shell: Shell, name: str) -> None:
    at = f"{name}:/a.txt"
    file = put(shell, at, b"1")
    assert shell.out("rm", at) == ""
    assert shell.refused("get", at, "-o", "-")[0] == 1
    assert shell.out("ls", f"{name}:/") == ""
    assert shell.out("ls", f"{name}:/", "--deleted") == f"{file['file_id']}\ta.txt\n"
    assert shell.out("restore", file["file_id"]) == "a.txt\n"
    shell.out("rm", file["file_id"])
    assert json.loads(shell.out("restore", at, "--json"))["file_id"] == file["file_id"]
    assert shell.out("get", at, "-o", "-") == "1"


def test_what_rm_takes_for_good_stays_away(shell: Shell, name: str) -> None:
    at = f"{name}:/a.txt"
    file = put(shell, at, b"1")
    shell.out("rm", at, "--permanent")
    for source in (at, file["file_id"]):
        status, said = shell.refused("restore", source)
        assert (status, "not_found" in said) == (1, True)


@pytest.mark.parametrize(
    ("command", "path"),
    [("rm", "h/one.txt"), ("get", "/h/one.txt"), ("versions", "default:h/one.txt"), ("mv", "h/one.txt")],
)
def test_a_path_without_its_workspace_is_told_how_to_name(shell: Shell, command: str, path: str) -> None:
    status, said = shell.refused(command, path, *(["b.txt"] if command == "mv" else []))
    assert (status, "default:/h/one.txt" in said) == (2, True)


def test_mv_moves_and_renames_by_path_and_by_id(shell: Shell, name: str) -> None:
    file = put(shell, f"{name}:/a.txt", b"1")
    assert shell.out("mv", f"{name}:/a.txt", f"{name}:/new/folder/") == "new/folder/a.txt\n"
    assert shell.out("mv", f"{name}:/new/folder/a.txt", "/b.txt") == "b.txt\n"
    moved = json.loads(shell.out("mv", file["file_id"], "c.txt", "--json"))
    assert (moved["file_id"], moved["path"], moved["version_id"]) == (file["file_id"], "c.txt", file["version_id"])


def test_the_root_key_names_files_of_another_organization(shell: Shell) -> None:
    slug = f"cli-{uuid.uuid4().hex}"
    shell.out("orgs", "create", slug)
    org = ["--org", slug]
    shell.out("workspaces", "create", "reports", *org)
    (shell.folder / "a").write_text("1")
    shell.out("put", "a", "--to", "reports:/", *org)
    shell.out("put", "a", "--folder", "inbox", *org)
    shell.out("mv", "reports:/a", "reports:/b", *org)
    shell.out("rm", "reports:/b", *org)
    file_id = shell.out("ls", "reports:/", "--deleted", *org).split("\t")[0]
    shell.out("restore", file_id, *org)
    assert shell.out("get", "reports:/b", "-o", "-", *org) == "1"
    assert shell.out("get", file_id, "-o", "-", *org) == "1"
    assert shell.out("ls", "inbox/", *org).endswith("\tinbox/a\thand-off\n")
    assert shell.out("versions", "reports:/b", *org).count("\n") == 1
    status, said = shell.refused("ls", "reports:/")
    assert (status, "reports" in said) == (1, True)


def test_a_key_has_the_user_that_was_named(shell: Shell) -> None:
    chosen = str(uuid.uuid4())
    user = ["--user-id", chosen, "--user-name", "Anna", "--user-email", "anna@example.com"]
    secret = shell.out("keys", "create", "worker", "--scope", "upload", *user).strip()
    listed = [json.loads(line) for line in shell.out("keys", "list", "--json").splitlines()]
    assert [key["user_id"] for key in listed if secret.startswith(key["prefix"])] == [chosen]
    file = json.loads(shell.out("put", "-", "--json", "--key", secret, stdin=b"x"))
    assert file["created_by"] == chosen


@pytest.mark.parametrize(
    "arguments",
    [
        ["put", "a", "--to", "reports"],
        ["put", "a", "--to", "reports/a"],
        ["put", "a", "--to", "w:/a", "--path", "b"],
        ["put", "a", "--to", "w:/a", "--folder", "b"],
        ["put", "a", "b", "--to", "w:/c"],
        ["get", "w:/"],
        ["get", "http://127.0.0.1/f/a", "--version", "1"],
        ["ls", "w:/a", "--workspace", "v"],
        ["rm", "a", "w:/folder/"],
        ["versions", "w:/folder/"],
        ["mv", "w:/a", "v:/a"],
        ["mv", "id", "v:/a"],
        ["workspaces", "create", "a", "--keep-versions", "0"],
    ],
)
def test_what_cannot_be_meant_has_status_2_and_changes_nothing(shell: Shell, arguments: list[str]) -> None:
    shell.environment["FILEFERRY_URL"] = "http://127.0.0.1:1"
    assert shell.refused(*arguments)[0] == 2
