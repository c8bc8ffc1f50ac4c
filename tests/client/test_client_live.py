"""The client against the real server: what is uploaded comes back, is described truly, and ends when it should."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import fileferry
from support.live_server import LiveServer

LARGE = 5 * 1024 * 1024 + 7


@pytest.fixture
def client(connect: Any, server: LiveServer) -> Any:
    return connect(server.url, server.root_key)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(os.urandom(LARGE))
    return path


def chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(100_000):
            yield chunk


def test_an_end_user_has_files_of_her_own(connect: Any, server: LiveServer) -> None:
    ada, bob = (connect(server.url, server.root_key, end_user=name) for name in ("ada", "bob"))
    file = ada.upload(b"hers,truly", name="ada.csv")
    assert ada.wait(file).status == "ready"
    assert file.file_id in {listed.file_id for listed in ada.list()}
    assert file.file_id not in {listed.file_id for listed in bob.list()}
    with pytest.raises(fileferry.NotFound):
        bob.get(file.file_id)


@pytest.mark.parametrize("name", ["", " ada", "a\nb"])
def test_what_is_no_name_of_an_end_user_is_told_at_once(connect: Any, server: LiveServer, name: str) -> None:
    with pytest.raises(fileferry.NotConfigured):
        connect(server.url, server.root_key, end_user=name).get("x")


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "file", "iterator"])
def test_every_kind_of_source_arrives_whole(client: Any, large: Path, kind: str) -> None:
    with large.open("rb") as opened:
        sources: dict[str, Any] = {
            "path": large,
            "str": str(large),
            "bytes": large.read_bytes(),
            "file": opened,
            "iterator": chunks_of(large),
        }
        file = client.upload(sources[kind], name="large.bin")
    assert (file.size, file.sha256) == (LARGE, hashlib.sha256(large.read_bytes()).hexdigest())
    assert httpx.get(file.url, trust_env=False).content == large.read_bytes()


def test_an_empty_file_is_a_file(client: Any) -> None:
    file = client.upload(b"", name="empty")
    assert client.download(file) == b""


def test_a_file_is_described_as_it_was_asked_for(client: Any) -> None:
    file = client.upload(b"{}", name="a/b ü%?#.json", metadata={"job": 7, "deep": {"é": [1]}}, expires_in="24h")
    assert (file.name, file.path, file.content_type) == ("b ü%?#.json", "a/b ü%?#.json", "application/json")
    assert file.metadata == {"job": 7, "deep": {"é": [1]}}
    assert abs(file.expires_at - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=5)
    assert client.get(file.file_id) == file


@pytest.mark.parametrize("lifetime", ["1h", 3600, timedelta(hours=1)])
def test_a_lifetime_can_be_written_in_three_ways(client: Any, lifetime: Any) -> None:
    file = client.upload(b"a", name="a", expires_in=lifetime)
    assert file.expires_at - file.created_at == timedelta(hours=1)


def test_an_expiry_can_be_a_moment(client: Any) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    assert client.upload(b"a", name="a", expires_at=moment).expires_at == moment


def test_two_uploads_of_one_name_are_two_files_and_of_one_path_two_versions(client: Any, tmp_path: Path) -> None:
    path = f"{tmp_path.name}/a.txt"
    first, second = client.upload(b"1", name=path), client.upload(b"2", name=path)
    assert first.file_id != second.file_id
    first, second = client.upload(b"1", path=path + "x"), client.upload(b"2", path=path + "x")
    assert first.file_id == second.file_id
    assert int(second.version_id) > int(first.version_id)
    assert client.download(second.file_id) == b"2"


def test_an_update_changes_what_is_given_only(client: Any) -> None:
    file = client.upload(b"a", name="a.txt", expires_in="1h", metadata={"a": 1})
    assert client.update(file, name="b.txt").expires_at == file.expires_at
    kept = client.update(file.file_id, expires_in=None)
    assert (kept.name, kept.expires_at, kept.metadata) == ("b.txt", None, {"a": 1})
    assert client.update(file, metadata={}).metadata == {}


def test_a_list_goes_over_its_pages(client: Any, tmp_path: Path) -> None:
    paths = [f"{tmp_path.name}/{number}" for number in range(5)]
    for path in paths:
        client.upload(b"a", path=path)
    assert [file.path for file in client.list(f"{tmp_path.name}/", page_size=2)] == paths


def test_a_deleted_file_is_gone(client: Any) -> None:
    file = client.upload(b"a", name="a.txt")
    client.delete(file)
    with pytest.raises(fileferry.Gone):
        client.download(file)
    with pytest.raises(fileferry.NotFound) as caught:
        client.delete(file.file_id)
    assert caught.value.request_id


@pytest.mark.parametrize("by", ["file", "id", "url"])
def test_a_download_reaches_a_path_by_file_id_or_url(client: Any, large: Path, tmp_path: Path, by: str) -> None:
    file = client.upload(large)
    client.download({"file": file, "id": file.file_id, "url": file.url}[by], tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == large.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_a_download_reaches_an_open_file(client: Any, large: Path) -> None:
    out = io.BytesIO()
    client.download(client.upload(large), out)
    assert out.getvalue() == large.read_bytes()


def test_an_interrupted_download_is_resumed(client: Any, large: Path, tmp_path: Path) -> None:
    file = client.upload(large)

    def interrupt(done: int, total: int | None) -> None:
        if done > LARGE // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.download(file, tmp_path / "out.bin", progress=interrupt)
    begun: list[int] = []
    client.download(file, tmp_path / "out.bin", progress=lambda done, total: begun.append(done))
    assert begun[0] > LARGE // 3
    assert (tmp_path / "out.bin").read_bytes() == large.read_bytes()


def test_a_wrong_key_is_unauthorized_even_for_a_large_upload(connect: Any, server: LiveServer) -> None:
    with pytest.raises(fileferry.Unauthorized):
        connect(server.url, "ff_wrong").upload(bytes(40_000_000), name="large")


def test_a_file_over_the_limit_is_too_large(connect: Any, make_server: Any) -> None:
    small = make_server(max_file_size="1MiB")
    with pytest.raises(fileferry.FileTooLarge):
        connect(small.url, small.root_key).upload(bytes(40_000_000), name="large")
    with pytest.raises(fileferry.FileTooLarge):
        connect(small.url, small.root_key).upload((bytes(1_000_000) for _ in range(40)), name="large")


def test_a_key_lives_until_it_is_revoked(client: Any, connect: Any, server: LiveServer) -> None:
    key = client.create_key("worker", scopes=["upload"], expires_in="1h")
    assert key.secret not in repr(key)
    connect(server.url, key.secret).upload(b"a", name="a")
    with pytest.raises(fileferry.Forbidden):
        connect(server.url, key.secret).create_key("more", scopes=["admin"])
    renewed = client.rotate_key(key.key_id)
    with pytest.raises(fileferry.Unauthorized):
        connect(server.url, key.secret).upload(b"a", name="a")
    assert key.key_id in {found.key_id for found in client.list_keys()}
    client.revoke_key(renewed.key_id)
    with pytest.raises(fileferry.Unauthorized):
        connect(server.url, renewed.secret).upload(b"a", name="a")


def test_a_file_of_one_organization_is_unknown_to_another(
    client: Any, connect: Any, server: LiveServer, request: Any
) -> None:
    slug = f"org-{request.node.callspec.id.lower()}"
    organization = client.create_organization(slug, name="Another")
    assert organization in client.list_organizations()
    key = client.create_key("theirs", scopes=["upload", "read"], organization=slug)
    assert key.organization_id == organization.organization_id
    ours = client.upload(b"a", name="a")
    with pytest.raises(fileferry.NotFound):
        connect(server.url, key.secret).get(ours.file_id)
