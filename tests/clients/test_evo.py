"""evo-files with evo-sdk-common, unmodified: the published client of the workspaces flow, from its discovery to restoring.

Its uploads and downloads take only ``https://`` URLs without a port. So the server is told that its address is such a one,
and the client gets there by an option of its own, a proxy (see ``front``).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from evo.aio import AioTransport
from evo.common import APIConnector, Environment, HealthCheckType
from evo.common.data import ServiceStatus
from evo.common.exceptions import NotFoundException, UnauthorizedException
from evo.common.io.exceptions import ChunkedIOError
from evo.common.utils import Cache
from evo.files import FileAPIClient
from evo.oauth import AccessTokenAuthorizer
from evo.service_manager import ServiceManager
from evo.workspaces import WorkspaceAPIClient

from clients.front import Front
from contract.workspace import Place
from support.live_server import LiveServer

HUB = "https://ferry.test"
MEBIBYTE = 1024 * 1024


@dataclass
class Workspace:
    """A workspace of a test's own, and how the client reaches it."""

    server: LiveServer
    proxy_url: str
    place: Place

    @asynccontextmanager
    async def transport(self, connections: int = 4) -> AsyncIterator[AioTransport]:
        """Open the client's transport. Its certificate is one that nobody vouches for."""
        options = {"num_pools": connections, "proxy": self.proxy_url, "verify_ssl": False, "close_grace_period_ms": 0}
        async with AioTransport(user_agent="tests", **options) as transport:
            yield transport

    @asynccontextmanager
    async def files(self, key: str | None = None) -> AsyncIterator[Files]:
        """Open the client as one does who has a hub URL, ids and a token."""
        environment = Environment(
            hub_url=HUB, org_id=uuid.UUID(self.place.organization), workspace_id=uuid.UUID(self.place.workspace)
        )
        async with self.transport() as transport:
            connector = APIConnector(HUB, transport, AccessTokenAuthorizer(key or self.server.root_key))
            yield Files(FileAPIClient(environment, connector), transport)


@dataclass
class Files:
    """The client, with the few lines around each transfer."""

    api: FileAPIClient
    transport: AioTransport

    async def upload(self, path: str, source: Path) -> Any:
        """Upload by path; return the finished upload."""
        upload = await self.api.prepare_upload_by_path(path)
        await upload.upload_from_path(source, self.transport)
        return upload

    async def fetch(self, path: str, target: Path, **which: Any) -> bytes:
        """Download by path."""
        download = await self.api.prepare_download_by_path(path, **which)
        await download.download_to_path(target, self.transport, overwrite=True)
        return target.read_bytes()


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveServer, Front]]:
    folder = tmp_path_factory.mktemp("evo")
    server = LiveServer(folder, {"base_url": HUB})
    try:
        server.start()
        with Front(server.port, "ferry.test", folder) as front:
            yield server, front
    finally:
        server.close()
        shutil.rmtree(server.data)


@pytest.fixture
def workspace(fronted: tuple[LiveServer, Front]) -> Iterator[Workspace]:
    server, front = fronted
    with server.client() as http:
        yield Workspace(server, front.proxy_url, Place.new(http))


def written(folder: Path, content: bytes) -> Path:
    path = folder / f"source {uuid.uuid4()}"
    path.write_bytes(content)
    return path


def test_a_hub_url_and_a_token_find_organization_and_workspace(workspace: Workspace, tmp_path: Path) -> None:
    async def go() -> None:
        async with workspace.transport() as transport:
            authorizer = AccessTokenAuthorizer(workspace.server.root_key)
            manager = ServiceManager(transport=transport, authorizer=authorizer, discovery_url=HUB)
            await manager.refresh_organizations()
            manager.set_current_organization(uuid.UUID(workspace.place.organization))
            (hub,) = manager.list_hubs()
            assert hub.url == HUB
            manager.set_current_hub(hub.code)
            await manager.refresh_workspaces()
            manager.set_current_workspace(uuid.UUID(workspace.place.workspace))
            files = Files(manager.create_client(FileAPIClient), transport)
            await files.upload("a.txt", written(tmp_path, b"found"))
            assert await files.fetch("a.txt", tmp_path / "back") == b"found"

            async with manager.get_connector() as connector:
                tenant = WorkspaceAPIClient(connector, manager.get_org_id())
                described = await tenant.get_workspace(uuid.UUID(workspace.place.workspace))
                assert described.id in {each.id for each in await tenant.list_workspaces_summary(limit=1000)}
                assert described.id in {each.id for each in await tenant.list_all_workspaces(limit=2)}

    asyncio.run(go())


@pytest.mark.parametrize("check", HealthCheckType)
def test_the_service_is_healthy(workspace: Workspace, check: HealthCheckType) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            health = await files.api.get_service_health(check)
            health.raise_for_status()
            assert health.status is ServiceStatus.HEALTHY

    asyncio.run(go())


@pytest.mark.parametrize("size", [0, 1, 4 * MEBIBYTE, 4 * MEBIBYTE + 1, 9_000_000])
@pytest.mark.parametrize("path", ["a.bin", "Grüße/100% a+b #1?.bin"])
def test_a_file_goes_up_and_comes_down_by_path(workspace: Workspace, tmp_path: Path, size: int, path: str) -> None:
    content = os.urandom(size)

    async def go() -> None:
        async with workspace.files() as files:
            upload = await files.upload(path, written(tmp_path, content))
            described = await files.api.get_file_by_path(path)
            assert (described.id, described.version_id) == (upload.file_id, upload.version_id)
            assert (described.path, described.size) == (f"/{path}", size)
            assert described.created_by is not None
            assert await files.fetch(path, tmp_path / "back") == content

    asyncio.run(go())


def test_a_new_version_goes_up_by_id_and_the_old_one_stays(workspace: Workspace, tmp_path: Path) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            first = await files.upload("d/a.bin", written(tmp_path, b"one"))
            second = await files.api.prepare_upload_by_id(first.file_id)
            assert (await files.api.get_file_by_id(first.file_id)).version_id == first.version_id
            await second.upload_from_path(written(tmp_path, b"two"), files.transport)
            expected = [second.version_id, first.version_id]
            for versions in (
                await files.api.list_versions_by_path("d/a.bin"),
                await files.api.list_versions_by_id(first.file_id),
            ):
                assert [version.version_id for version in versions] == expected
                assert all(version.created_by for version in versions)
            assert await files.fetch("d/a.bin", tmp_path / "back") == b"two"
            assert await files.fetch("d/a.bin", tmp_path / "back", version_id=first.version_id) == b"one"
            download = await files.api.prepare_download_by_id(first.file_id, version_id=first.version_id)
            cached = await download.download_to_cache(Cache(tmp_path / "cache", mkdir=True), files.transport)
            assert cached.read_bytes() == b"one"

    asyncio.run(go())


def test_three_hundred_megabytes_go_up_in_parallel_blocks(workspace: Workspace, tmp_path: Path) -> None:
    source, target = tmp_path / "large", tmp_path / "back"
    block = os.urandom(MEBIBYTE)
    with source.open("wb") as file:
        for number in range(300):  # every block differs from the others
            file.write(number.to_bytes(8, "big") + block[8:])

    async def go() -> None:
        async with workspace.files() as files:
            await files.upload("large.bin", source)
            download = await files.api.prepare_download_by_path("large.bin")
            assert download.metadata.size == 300 * MEBIBYTE
            await download.download_to_path(target, files.transport)

    asyncio.run(go())
    digests = []
    for path in (source, target):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha1").digest())
        path.unlink()
    assert digests[0] == digests[1]


def test_a_url_that_expired_is_renewed(workspace: Workspace, tmp_path: Path) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            upload = await files.api.prepare_upload_by_path("a.bin")
            first, renewed = await upload.get_upload_url(), await upload.get_upload_url()
            assert first.startswith(f"{HUB}/")
            assert renewed.partition("?")[0] == first.partition("?")[0]
            await upload.upload_from_path(written(tmp_path, b"content"), files.transport)
            download = await files.api.prepare_download_by_path("a.bin")
            assert await download.get_download_url()
            await download.download_to_path(tmp_path / "back", files.transport)  # asks for another URL
        assert (tmp_path / "back").read_bytes() == b"content"

    asyncio.run(go())


def test_files_are_listed_whole_by_name_and_page_by_page(workspace: Workspace, tmp_path: Path) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            source = written(tmp_path, b"content")
            for path in ("Gold.csv", "a/all gold.csv", "a/b/iron.csv"):
                await files.upload(path, source)
            page = await files.api.list_files()
            assert (page.total, page.is_last) == (3, True)
            assert {file.path for file in page} == {"/Gold.csv", "/a/all gold.csv", "/a/b/iron.csv"}
            assert {file.name for file in await files.api.list_files(name="gold")} == {"Gold.csv", "all gold.csv"}
            paged = await files.api.list_all_files(limit_per_request=2)
            assert sorted(file.id for file in paged) == sorted(file.id for file in page)
            assert await files.api.list_all_files(deleted=True) == []

    asyncio.run(go())


DELETIONS: dict[str, Callable[[FileAPIClient, Any], Awaitable[None]]] = {
    "path": lambda api, file: api.delete_file_by_path(file.path.removeprefix("/")),
    "id": lambda api, file: api.delete_file_by_id(file.id),
}


@pytest.mark.parametrize("way", DELETIONS)
def test_a_deleted_file_is_restored(workspace: Workspace, tmp_path: Path, way: str) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            await files.upload("d/a.bin", written(tmp_path, b"content"))
            file = await files.api.get_file_by_path("d/a.bin")
            await DELETIONS[way](files.api, file)
            with pytest.raises(NotFoundException):
                await files.api.get_file_by_path("d/a.bin")
            assert (await files.api.get_file_by_id(file.id, deleted=True)).version_id == file.version_id
            assert len(await files.api.list_versions_by_id(file.id, deleted=True)) == 1
            assert [listed.id for listed in await files.api.list_files(deleted=True)] == [file.id]
            assert await files.api.restore_file_by_id(file.id) is None
            assert await files.api.get_file_by_path("d/a.bin") == file
            assert await files.fetch("d/a.bin", tmp_path / "back") == b"content"

    asyncio.run(go())


def test_a_file_that_comes_back_beside_its_successor_says_where(workspace: Workspace, tmp_path: Path) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            old = await files.upload("d/a.bin", written(tmp_path, b"old"))
            await files.api.delete_file_by_path("d/a.bin")
            await files.upload("d/a.bin", written(tmp_path, b"new"))
            moved = await files.api.restore_file_by_id(old.file_id)
            assert moved is not None
            assert moved.id == old.file_id
            assert moved.parent == "/d"
            assert moved.name != "a.bin"
            assert await files.fetch(moved.path.removeprefix("/"), tmp_path / "back") == b"old"
            assert await files.fetch("d/a.bin", tmp_path / "back") == b"new"

    asyncio.run(go())


def test_refusals_are_the_clients_own_errors(workspace: Workspace, tmp_path: Path) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            with pytest.raises(NotFoundException) as missing:
                await files.api.get_file_by_path("nothing here.bin")
            assert missing.value.type_ == "urn:fileferry:error:not_found"
            with pytest.raises(NotFoundException):
                await files.api.prepare_upload_by_id(uuid.uuid4())
        async with workspace.files("ff_nonsense") as files:
            with pytest.raises(UnauthorizedException):
                await files.api.list_files()

    asyncio.run(go())


def test_bytes_for_a_file_that_was_deleted_meanwhile_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    async def go() -> None:
        async with workspace.files() as files:
            await files.upload("a.bin", written(tmp_path, b"one"))
            late = await files.api.prepare_upload_by_path("a.bin")
            await files.api.delete_file_by_path("a.bin")
            with pytest.raises(ChunkedIOError):
                await late.upload_from_path(written(tmp_path, b"two"), files.transport)

    asyncio.run(go())
