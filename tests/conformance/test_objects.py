"""A store of objects keeps the contract of every BlobStore, on a strict and a lax S3 store, on Azure's and on Google's."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fileferry.blobs import azure, s3
from fileferry.blobs.conformance import CHECKS, Check
from fileferry.blobs.google import objects as google_objects
from fileferry.blobs.objects import pieces
from fileferry.blobs.objects.store import ObjectStore as ObjectBlobs
from fileferry.blobs.objects.verbs import Objects
from fileferry.blobs.store import BlobMissing
from fileferry.errors import Unavailable
from fileferry.model import new_id, utc_now
from support.object_stores import Place, Rclone, SeaweedFS

STORES = [pytest.param(name, marks=pytest.mark.service(name)) for name in ("seaweedfs", "rclone", "azurite", "gcs")]
STRICT = [STORES[0], *STORES[2:]]
MIB = 1024 * 1024
CLIENTS = (s3.Client, azure.Client)
SUMS = {client: client._sums for client in CLIENTS}
Use = Callable[[ObjectBlobs, Objects], Awaitable[None]]


@pytest.fixture
def object_store(request: pytest.FixtureRequest) -> Place:
    store: Place = request.getfixturevalue(request.param)
    return store


def on(object_store: Place, use: Use, *, prefix: str | None = None, **made: Any) -> None:
    """Run ``use`` on a store, and the objects that it is made of; without a time of grace unless told otherwise."""

    async def run() -> None:
        store, objects = object_store.open(object_store.location(prefix), **{"grace": timedelta(0), **made})
        try:
            await use(store, objects)
        finally:
            await store.close()

    asyncio.run(run())


async def kept(store: ObjectBlobs, content: bytes) -> str:
    key = new_id(utc_now())
    writer = store.open_write(key)
    await writer.append([content])
    await writer.commit()
    await writer.close()
    return key


async def region(store: ObjectBlobs, key: str, offset: int, content: bytes) -> None:
    writer = store.open_region(key, offset)
    await writer.append([content])
    await writer.commit()
    await writer.close()


async def read(store: ObjectBlobs, key: str, start: int, length: int) -> bytes:
    return b"".join([block async for block in store.read(key, start, length)])


@pytest.mark.parametrize("object_store", STORES, indirect=True)
def test_the_store_keeps_its_contract(object_store: Place) -> None:
    # All in one test: a check takes less than finding the store.
    for check in CHECKS:
        on(object_store, lambda store, _, check=check: check(store))  # type: ignore[misc]


@pytest.mark.service("seaweedfs")
@pytest.mark.parametrize("check", [check for check in CHECKS if "orphan" in check.__name__], ids=lambda c: c.__name__)
def test_a_store_with_a_time_of_grace_keeps_its_contract(seaweedfs: SeaweedFS, check: Check) -> None:
    on(seaweedfs, lambda store, _: check(store), grace=timedelta(hours=1))


@pytest.mark.parametrize("object_store", STORES, indirect=True)
def test_a_blob_of_several_parts_reads_back_from_anywhere(object_store: Place) -> None:
    content = os.urandom(11 * MIB + 3)

    async def use(store: ObjectBlobs, objects: Objects) -> None:
        key = await kept(store, content)
        assert (await store.stat(key)).size == len(content)
        for start, length in [(0, len(content)), (5 * MIB - 1, 2), (len(content) - 7, 7), (6 * MIB, 5 * MIB)]:
            assert await read(store, key, start, length) == content[start : start + length]
        given_up = store.open_write(new_id(utc_now()))
        await given_up.append([content])
        await given_up.close()
        assert [upload async for upload in objects.list_unfinished("")] == []
        assert [found.key async for found in objects.list("blobs/")] == [f"blobs/{key}/whole"]

    on(object_store, use, part_size=5 * MIB)


@pytest.mark.service("rclone")
def test_a_store_behind_tls_is_believed_by_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = (tmp_path / "certificate.pem", tmp_path / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(certificate[0]), "-keyout", str(certificate[1])]
    subprocess.run([*command, *named, *files], check=True, capture_output=True)
    content = os.urandom(6 * MIB)

    async def trusted(store: ObjectBlobs, _: Objects) -> None:
        assert await read(store, await kept(store, content), 0, len(content)) == content

    async def refused(store: ObjectBlobs, _: Objects) -> None:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await store.identity()

    with Rclone(tmp_path, certificate) as store:
        on(store, refused)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        on(store, trusted, part_size=5 * MIB)


@pytest.mark.parametrize("object_store", STRICT, indirect=True)
def test_regions_are_joined_and_what_is_discarded_is_gone(object_store: Place) -> None:
    content = os.urandom(3000)

    async def use(store: ObjectBlobs, objects: Objects) -> None:
        key = new_id(utc_now())
        await region(store, key, 0, bytes(2000))  # of a writer that died before it was recorded
        for start in (1000, 0, 2000):
            await region(store, key, start, content[start : start + 1000])
        await region(store, key, 9000, b"given up")
        await store.discard_region(key, 9000, 8)
        await region(store, key, 3000, b"")
        await store.assemble(key)
        assert (await store.stat(key)).size == 3000
        assert await read(store, key, 500, 2000) == content[500:2500]
        with pytest.raises(BlobMissing):
            await read(store, key, 2500, 501)
        await store.discard_region(key, 1000, 1000)
        assert await read(store, key, 2000, 1000) == content[2000:]
        await store.delete(key)
        assert [found async for found in objects.list("blobs/")] == []

    on(object_store, use)


@pytest.mark.service("seaweedfs")
def test_a_piece_that_was_listed_late_is_read_all_the_same(seaweedfs: SeaweedFS) -> None:
    async def use(store: ObjectBlobs, objects: Objects) -> None:
        key = new_id(utc_now())
        await region(store, key, 0, b"first")
        await store.assemble(key)
        await objects.put(pieces.piece(key, 5), b"second")  # as if the listing had not told of it
        assert await read(store, key, 3, 6) == b"stseco"
        with pytest.raises(BlobMissing):
            await read(store, key, 3, 9)

    on(seaweedfs, use)


@pytest.mark.parametrize("object_store", STRICT, indirect=True)
def test_what_another_process_has_just_written_is_no_orphan(object_store: Place) -> None:
    async def use(store: ObjectBlobs, _: Objects) -> None:
        key = await kept(store, b"whose owner is being recorded")
        assert [found async for found in store.orphans()] == []
        assert not await store.delete_unowned(key, _nobody)
        assert (await store.stat(key)).size == 29

    on(object_store, use, grace=timedelta(minutes=5))


@pytest.mark.parametrize("object_store", STRICT, indirect=True)
def test_parts_that_a_dead_process_left_are_given_up(object_store: Place) -> None:
    async def use(store: ObjectBlobs, objects: Objects) -> None:
        key, pieces_key = new_id(utc_now()), new_id(utc_now())
        left = {f"blobs/{key}/whole", f"blobs/{pieces_key}/{0:016x}"}
        for name in left:
            await objects.put_part(name, await objects.begin_parts(name), 1, bytes(1000))
        assert {found[0] async for found in objects.list_unfinished("blobs/")} == left
        # Of a whole blob it may be an upload's that goes on, whoever sends it: that its owner knows.
        assert [found async for found in store.orphans()] == [key]
        assert not await store.delete_unowned(key, _somebody)
        assert {found[0] async for found in objects.list_unfinished("blobs/")} == {f"blobs/{key}/whole"}
        assert await store.delete_unowned(key, _nobody)
        assert [found async for found in objects.list_unfinished("blobs/")] == []

    on(object_store, use, abandoned=timedelta(0))


@pytest.mark.parametrize("object_store", STORES, indirect=True)
def test_orphans_are_found_page_by_page_and_each_once(object_store: Place) -> None:
    async def use(store: ObjectBlobs, objects: Objects) -> None:
        store._objects._page = 2
        keys = [new_id(utc_now()) for _ in range(5)]
        for key in keys:
            for offset in (0, 1, 2):
                await region(store, key, offset, b"a")
        assert sorted([key async for key in store.orphans()]) == keys

    on(object_store, use)


@pytest.mark.parametrize("object_store", STORES[:3], indirect=True)
def test_bytes_that_were_changed_on_their_way_are_refused(object_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store itself compares what came with the MD5: an acknowledged blob is what was sent."""

    async def use(store: ObjectBlobs, objects: Objects) -> None:
        for client in CLIENTS:
            monkeypatch.setattr(client, "_sums", _sums_of_something_else)
        with pytest.raises(Unavailable, match="400 "):
            await objects.put("blobs/a/whole", b"changed")
        monkeypatch.undo()
        assert await objects.size("blobs/a/whole") is None

    on(object_store, use)


@pytest.mark.service("gcs")
def test_a_store_that_takes_changed_bytes_is_seen_by_what_it_tells(gcs: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google compares the CRC32C itself and refuses; its emulator does not, and tells that of what came."""

    async def use(store: ObjectBlobs, objects: Objects) -> None:
        monkeypatch.setattr(google_objects, "crc32c_of", lambda _body: "AAAAAA==")
        with pytest.raises(Unavailable, match="other bytes than it was sent"):
            await objects.put("blobs/a/whole", b"changed")
        assert await objects.size("blobs/a/whole") is None

    on(gcs, use)


@pytest.mark.service("gcs")
def test_more_parts_than_the_store_composes_at_once_are_one_object(gcs: Place) -> None:
    content = os.urandom(66 * 1000 + 1)

    async def use(store: ObjectBlobs, objects: Objects) -> None:
        key = await kept(store, content)
        assert await read(store, key, 0, len(content)) == content
        assert [found.key async for found in objects.list("")] == [f"blobs/{key}/whole"]
        name = f"blobs/{key}/whole"
        # As a crash leaves it between the composition and the removal of the parts: the blob has an owner, and keeps it.
        await objects.put_part(name, await objects.begin_parts(name), 1, b"left")
        assert [found async for found in store.orphans()] == []
        assert [found.key async for found in objects.list("")] == [name]

    on(gcs, use, part_size=1000, abandoned=timedelta(0), grace=timedelta(hours=1))


@pytest.mark.parametrize("object_store", STRICT, indirect=True)
def test_a_second_claim_at_the_same_moment_is_refused(object_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(store: ObjectBlobs, objects: Objects) -> None:
        monkeypatch.setattr(ObjectBlobs, "identity", _first_none(ObjectBlobs.identity))
        await objects.put("identity", b"of another")
        with pytest.raises(Unavailable, match="Another server"):
            await store.identify("ours")
        assert await objects.get("identity") == b"of another"

    on(object_store, use)


def _sums_of_something_else(self: Any, body: bytes) -> dict[str, str]:
    sums = SUMS[type(self)]
    said = sums(self, body)
    return said if not body else {**said, "content-md5": sums(self, b"sent")["content-md5"]}


def _first_none(
    identity: Callable[[ObjectBlobs], Awaitable[str | None]],
) -> Callable[[ObjectBlobs], Awaitable[str | None]]:
    """Return ``identity`` as one sees it who looks just before another claims the bucket."""
    answers = iter([True])

    async def found(store: ObjectBlobs) -> str | None:
        return None if next(answers, False) else await identity(store)

    return found


async def _nobody() -> bool:
    return False


async def _somebody() -> bool:
    return True
