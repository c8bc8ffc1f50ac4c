"""Workspaces by the client, against the real server: paths, versions, deleting and restoring, moving, waiting."""

from __future__ import annotations

import hashlib
import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer, accepted, refused

import fileferry
from support.live_server import LiveServer

PATH = "Berichte 2026/ü 100%+.txt"


@pytest.fixture
def client(connect: Any, server: LiveServer) -> Any:
    return connect(server.url, server.root_key)


@pytest.fixture
def workspace(client: Any) -> Any:
    """The files of a workspace that is the test's own."""
    return client.workspace(client.create_workspace(f"client-{uuid.uuid4()}-"))


def test_a_file_at_a_path_has_versions(workspace: Any) -> None:
    files = [workspace.upload(PATH, body) for body in (b"1", b"22", b"333")]
    assert {(file.file_id, file.path) for file in files} == {(files[0].file_id, PATH)}
    versions = workspace.versions(PATH)
    assert [version.version_id for version in versions] == [file.version_id for file in reversed(files)]
    assert [(version.size, version.is_current) for version in versions] == [(3, True), (2, False), (1, False)]
    assert [workspace.download(PATH, version=version) for version in versions] == [b"333", b"22", b"1"]
    assert workspace.download(PATH) == b"333"
    assert workspace.get(PATH, version=files[0].version_id).size == 1
    assert workspace.get("/" + PATH) == files[2]


def test_versions_can_be_named_by_the_id_of_their_file(client: Any, workspace: Any) -> None:
    first = workspace.upload("a", b"1")
    second = workspace.upload("a", b"22")
    assert client.get(first.file_id, version=first.version_id).size == 1
    assert client.get(first.file_id) == second
    assert client.download(first.file_id, version=first.version_id) == b"1"
    assert client.download(second, version=first.version_id) == b"1"
    assert client.versions(second) == workspace.versions("a")
    with pytest.raises(fileferry.InvalidParameter):
        client.download(second.url, version=first.version_id)


def test_a_download_of_an_old_version_reaches_a_path(workspace: Any, tmp_path: Path) -> None:
    old = workspace.upload("a", b"old").version_id
    workspace.upload("a", b"new")
    workspace.download("a", tmp_path / "out", version=old)
    assert (tmp_path / "out").read_bytes() == b"old"


@pytest.mark.parametrize("options", [{}, {"multipart_threshold": 65536, "part_size": 65536}])
def test_a_new_version_can_be_uploaded_to_the_id_of_a_file(
    client: Any, workspace: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    body = os.urandom(200_000)
    (tmp_path / "local.bin").write_bytes(body)
    first = workspace.upload("in/a.txt", b"1", metadata={"a": 1})
    second = client.upload(tmp_path / "local.bin", file=first, **options)
    assert (second.file_id, second.path, second.size) == (first.file_id, "in/a.txt", len(body))
    assert int(second.version_id) > int(first.version_id)
    assert workspace.download("in/a.txt") == body


def test_a_large_file_goes_in_parts_and_makes_one_version(workspace: Any, tmp_path: Path) -> None:
    body = os.urandom(1_000_000)
    (tmp_path / "large.bin").write_bytes(body)
    workspace.upload("large", b"small")
    counted: list[int] = []
    file = workspace.upload(
        "large",
        tmp_path / "large.bin",
        multipart_threshold=65536,
        part_size=65536,
        resume=True,
        sha256=hashlib.sha256(body).hexdigest(),
        progress=lambda done, total: counted.append(done),
    )
    assert len(workspace.versions("large")) == 2
    assert workspace.download("large") == body
    assert (file.size, len(counted) > 10) == (len(body), True)


def test_a_list_has_the_files_of_its_workspace_only(client: Any, workspace: Any) -> None:
    other = client.workspace(client.create_workspace(f"client-{uuid.uuid4()}-").name)
    for path in ("b/1", "a/2", "a/1"):
        workspace.upload(path, b"x")
    other.upload("a/3", b"x")
    assert [file.path for file in workspace.list(page_size=2)] == ["a/1", "a/2", "b/1"]
    assert [file.path for file in workspace.list("a/")] == ["a/1", "a/2"]
    assert [file.path for file in other.list()] == ["a/3"]


def test_a_deleted_file_comes_back_with_all_its_versions(workspace: Any) -> None:
    workspace.upload("a", b"1")
    file = workspace.upload("a", b"2")
    versions = workspace.versions("a")
    workspace.delete("a")
    with pytest.raises(fileferry.NotFound):
        workspace.get("a")
    with pytest.raises(fileferry.NotFound):
        workspace.delete("a")
    (deleted,) = workspace.list(deleted=True)
    assert (deleted.file_id, deleted.status) == (file.file_id, "deleted")
    assert deleted.restorable_until - deleted.deleted_at == timedelta(days=30)
    restored = workspace.restore("a")
    assert (restored.file_id, restored.path, restored.deleted_at) == (file.file_id, "a", None)
    assert workspace.versions("a") == versions
    assert workspace.download("a") == b"2"
    assert workspace.list(deleted=True) == []


def test_a_file_whose_path_was_taken_comes_back_beside_it(client: Any, workspace: Any) -> None:
    first = workspace.upload("a.txt", b"1")
    workspace.delete("a.txt")
    second = workspace.upload("a.txt", b"2")
    restored = client.restore(first)
    assert restored.file_id == first.file_id
    assert restored.path != "a.txt"
    assert (workspace.download(restored.path), workspace.download("a.txt")) == (b"1", b"2")
    assert workspace.get("a.txt").file_id == second.file_id


def test_what_was_deleted_last_at_a_path_is_restored(workspace: Any) -> None:
    for body in (b"first", b"last"):
        workspace.upload("a", body)
        workspace.delete("a")
    workspace.upload("ab", b"another")
    workspace.delete("ab")
    workspace.restore("/a")
    assert workspace.download("a") == b"last"


@pytest.mark.parametrize("by", ["path", "file"])
def test_what_is_deleted_for_good_cannot_be_restored(client: Any, workspace: Any, by: str) -> None:
    file = workspace.upload("a", b"1")
    if by == "path":
        workspace.delete("a", permanent=True)
    else:
        client.delete(file, permanent=True)
    assert workspace.list(deleted=True) == []
    for lost in ("a", file):
        with pytest.raises(fileferry.NotFound):
            workspace.restore(lost)


def test_a_move_keeps_id_and_versions(client: Any, workspace: Any) -> None:
    file = workspace.upload("a/b.txt", b"1")
    workspace.upload("a/b.txt", b"2")
    versions = workspace.versions("a/b.txt")
    moved = workspace.move("a/b.txt", "new/deep/c.txt")
    assert (moved.file_id, moved.path, moved.name) == (file.file_id, "new/deep/c.txt", "c.txt")
    assert [version.version_id for version in workspace.versions("new/deep/c.txt")] == [
        version.version_id for version in versions
    ]
    assert client.update(file, path="d.txt").path == "d.txt"
    workspace.upload("taken", b"")
    with pytest.raises(fileferry.Conflict):
        workspace.move("d.txt", "taken")


def test_an_old_version_can_be_deleted_and_the_current_one_not(client: Any, workspace: Any) -> None:
    workspace.upload("a", b"1")
    second = workspace.upload("a", b"2")
    current, old = workspace.versions("a")
    with pytest.raises(fileferry.Conflict):
        workspace.delete_version("a", current)
    workspace.delete_version("a", old)
    with pytest.raises(fileferry.NotFound):
        client.delete_version(second, old.version_id)
    assert [version.version_id for version in workspace.versions("a")] == [second.version_id]
    with pytest.raises(fileferry.NotFound):
        workspace.download("a", version=old)


def test_a_version_that_is_there_is_not_waited_for(client: Any, workspace: Any) -> None:
    old = workspace.upload("a", b"1")
    workspace.upload("a", b"2")
    assert workspace.wait("a", old.version_id, timeout=0).size == 1
    assert client.wait(old, workspace.versions("a")[0], timeout=0).version_id > old.version_id


def test_a_version_that_never_comes_times_out(client: Any, server: LiveServer) -> None:
    made = client.create_workspace(f"client-{uuid.uuid4()}-")
    with server.client() as http:
        ticket = http.post("/api/uploads", json={"path": "a", "workspace": made.workspace_id, "size": 1}).json()
    for waiting in (
        lambda: client.workspace(made).wait("a", ticket["version_id"], timeout=0.2),
        lambda: client.wait(ticket["file_id"], ticket["version_id"], timeout=0.2),
    ):
        with pytest.raises(fileferry.TimedOut) as caught:
            waiting()
        assert ticket["version_id"] in caught.value.detail


def test_a_version_is_asked_for_until_it_is_there(connect: Any) -> None:
    unknown = refused(404, "not_found")
    with FaultyServer([unknown, accepted(status="processing"), unknown, accepted(status="ready")]) as server:
        file = connect(server.url).workspace("w").wait("a b", "17", timeout=60)
    assert file.status == "ready"
    assert [seen.path for seen in server.seen] == ["/api/files/path/a%20b?workspace=w&version_id=17"] * 4


def test_other_errors_end_the_waiting(connect: Any) -> None:
    with FaultyServer([refused(403, "forbidden")]) as server, pytest.raises(fileferry.Forbidden):
        connect(server.url).wait("f1", "17")
    assert len(server.seen) == 1


def test_a_workspace_is_found_by_id_and_name_and_keeps_as_it_is_told(client: Any) -> None:
    chosen = str(uuid.uuid4())
    name = f"client {chosen} ü"
    made = client.create_workspace(name, workspace_id=chosen, keep_versions=3, keep_versions_for="30d")
    assert (made.workspace_id, made.name, made.is_default) == (chosen, name, False)
    assert (made.keep_versions, made.keep_versions_for) == (3, 30 * 86400)
    assert client.get_workspace(name) == client.get_workspace(chosen) == made
    assert made in client.list_workspaces()
    changed = client.update_workspace(made, keep_versions=None)
    assert (changed.keep_versions, changed.keep_versions_for) == (None, 30 * 86400)
    assert client.update_workspace(name, keep_versions_for=timedelta(hours=1)).keep_versions_for == 3600
    assert client.update_workspace(name, keep_versions_for=None).keep_versions_for is None


def test_the_root_key_works_in_the_workspace_of_another_organization(client: Any) -> None:
    slug = f"client-{uuid.uuid4().hex}"
    client.create_organization(slug)
    made = client.create_workspace("reports", organization=slug)
    assert made in client.list_workspaces(organization=slug)
    assert client.get_workspace("reports", organization=slug) == made
    assert client.update_workspace(made, keep_versions=2, organization=slug).keep_versions == 2
    files = client.workspace("reports", organization=slug)
    file = files.upload("a", b"1")
    old, current = file.version_id, files.upload("a", b"2").version_id
    assert files.download("a") == b"2"
    files.wait("a", old)
    assert client.wait(file, current, organization=slug).path == "a"
    files.delete_version("a", old)
    files.move("a", "b")
    files.delete("b")
    assert [found.path for found in files.list(deleted=True)] == ["b"]
    assert files.restore("b").path == "b"
    assert client.get(file.file_id, organization=slug).path == "b"
    assert client.download(file.file_id, organization=slug) == b"2"
    files.delete("b", permanent=True)
    with pytest.raises(fileferry.NotFound):
        client.workspace("reports").get("b")


def test_what_a_key_does_is_done_by_its_user(client: Any, connect: Any, server: LiveServer) -> None:
    anna = client.create_key("a", scopes=["upload", "read"], user_name="Anna", user_email="anna@example.com")
    again = client.create_key("b", scopes=["upload", "read"], user_id=anna.user_id)
    other = client.create_key("c", scopes=["upload", "read"])
    assert again.user_id == anna.user_id
    assert other.user_id == other.key_id
    path = f"authors/{uuid.uuid4()}"
    connect(server.url, anna.secret).upload(b"1", path=path)
    file = connect(server.url, other.secret).upload(b"2", path=path)
    assert (file.created_by, file.modified_by) == (anna.user_id, other.user_id)
    assert [version.created_by for version in client.versions(file)] == [other.user_id, anna.user_id]
