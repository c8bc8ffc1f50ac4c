"""azure-storage-blob, as published, at an `upload` and a `download` URL: only the URLs are ours."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobClient, ContentSettings
from azure.storage.blob.aio import BlobClient as AsyncBlobClient

from contract.workspace import Place

NAME = "reports/a.bin"
SMALL: dict[str, Any] = {
    "max_single_put_size": 64 * 1024,
    "max_block_size": 50_000,
    "min_large_block_upload_threshold": 40_000,
    "max_single_get_size": 64 * 1024,
    "max_chunk_get_size": 50_000,
    "retry_total": 0,
}
SIZES = [0, 1, 64 * 1024, 700_001]


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


def uploading(place: Place, name: str = NAME, **options: Any) -> BlobClient:
    """Return a client of a fresh upload URL."""
    return BlobClient.from_blob_url(place.ask(name)["upload"], **{**SMALL, **options})


def downloading(place: Place, name: str = NAME, **options: Any) -> BlobClient:
    """Return a client of a download URL."""
    return BlobClient.from_blob_url(place.get(name)["download"], **{**SMALL, **options})


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 30_000):
        yield content[start : start + 30_000]


async def async_pieces(content: bytes) -> AsyncIterator[bytes]:
    for piece in pieces(content):
        yield piece


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", [{"retry_total": 0}, SMALL], ids=["one shot", "blocks"])
@pytest.mark.parametrize("validate", [False, True, "md5", "crc64"])
def test_bytes_go_up_and_come_down(place: Place, size: int, options: dict[str, Any], validate: bool | str) -> None:
    content = os.urandom(size)
    with BlobClient.from_blob_url(place.ask(NAME)["upload"], **options) as up:
        answer = up.upload_blob(content, max_concurrency=4, validate_content=validate)
    assert answer["etag"]
    assert answer["last_modified"]
    assert place.get(NAME)["size"] == size
    with BlobClient.from_blob_url(place.get(NAME)["download"], **options) as down:
        checked = validate if validate != "crc64" else False
        found = down.download_blob(max_concurrency=4, validate_content=checked)
        assert found.size == size
        assert found.readall() == content


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_of_unknown_length_goes_up_in_blocks(place: Place, size: int) -> None:
    content = os.urandom(size)
    with uploading(place) as up:
        # Of a stream with nothing in it, its threads would wait for each other for ever.
        up.upload_blob(pieces(content), max_concurrency=3 if size else 1)
    assert place.content(NAME) == content


@pytest.mark.parametrize("size", SIZES)
def test_a_file_goes_up_in_slices_of_itself(place: Place, tmp_path: Any, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "a.bin").write_bytes(content)
    with uploading(place) as up, (tmp_path / "a.bin").open("rb") as file:
        up.upload_blob(file, max_concurrency=4)
    assert place.content(NAME) == content


def test_a_blob_is_not_overwritten(place: Place) -> None:
    with uploading(place) as up:
        up.upload_blob(b"one")
        for content in (b"two", pieces(b"two"), b"one"):
            with pytest.raises(ResourceExistsError) as refused:
                up.upload_blob(content)
            assert refused.value.error_code == "BlobAlreadyExists"
        assert up.exists()
    assert place.content(NAME) == b"one"


def test_what_is_complete_is_overwritten_by_itself_only(place: Place) -> None:
    with uploading(place) as up:
        up.upload_blob(b"one", overwrite=True)
        up.upload_blob(b"one", overwrite=True)
        with pytest.raises(ResourceExistsError):
            up.upload_blob(b"two", overwrite=True)
    assert place.content(NAME) == b"one"


def test_the_content_type_is_kept(place: Place) -> None:
    for content in (b"%PDF-1.7 ", b"%PDF-1.7 " + bytes(100_000)):
        with uploading(place, "report") as up:
            up.upload_blob(content, content_settings=ContentSettings(content_type="application/pdf"))
            assert up.get_blob_properties().content_settings.content_type == "application/pdf"
        with downloading(place, "report") as down:
            assert down.get_blob_properties().content_settings.content_type == "application/pdf"


def test_properties_before_and_after(place: Place) -> None:
    with uploading(place) as up:
        assert not up.exists()
        with pytest.raises(ResourceNotFoundError) as missing:
            up.get_blob_properties()
        assert missing.value.error_code == "BlobNotFound"
        up.upload_blob(b"12345", metadata={"order": "17"})
        properties = up.get_blob_properties()
        assert (properties.size, properties.blob_type, properties.metadata) == (5, "BlockBlob", {})
    with downloading(place) as down:
        served = down.get_blob_properties()
        assert (served.size, served.etag) == (5, properties.etag)
        assert served.content_settings.content_md5 == hashlib.md5(b"12345").digest()
        assert served.creation_time == served.last_modified


def test_blocks_are_staged_listed_and_committed_by_hand(place: Place) -> None:
    with uploading(place) as up:
        for name in ("03", "01", "02"):
            up.stage_block(name, name.encode() * 100, validate_content=True)
        _, staged = up.get_block_list("all")
        assert {(block.id, block.size) for block in staged} == {("01", 200), ("02", 200), ("03", 200)}
        with pytest.raises(HttpResponseError) as unknown:
            up.commit_block_list([BlobBlock("01"), BlobBlock("99")])
        assert unknown.value.error_code == "InvalidBlockList"
        up.commit_block_list([BlobBlock("01"), BlobBlock("02"), BlobBlock("03")], validate_content=True)
        committed, staged = up.get_block_list("all")
        assert ([block.id for block in committed], staged) == (["01", "02", "03"], [])
    assert place.content(NAME) == b"01" * 100 + b"02" * 100 + b"03" * 100


def test_a_part_of_a_blob_comes_down(place: Place) -> None:
    content = os.urandom(300_000)
    place.put(NAME, content)
    with downloading(place) as down:
        assert down.download_blob(offset=10, length=20).readall() == content[10:30]
        assert down.download_blob(offset=299_990).readall() == content[299_990:]
        assert b"".join(down.download_blob(offset=1, length=200_000).chunks()) == content[1:200_001]
        with pytest.raises(HttpResponseError) as outside:
            down.download_blob(offset=300_000, length=1)
        assert (outside.value.status_code, outside.value.error_code) == (416, "InvalidRange")


def test_a_version_that_is_read_stays_itself_while_another_comes(place: Place) -> None:
    first = os.urandom(300_000)
    place.put(NAME, first)
    with downloading(place) as down:
        coming = down.download_blob().chunks()
        received = next(coming)
        place.put(NAME, b"second")
        assert received + b"".join(coming) == first
        with pytest.raises(ResourceModifiedError):
            down.download_blob(etag='"other"', match_condition=MatchConditions.IfNotModified).readall()


def test_what_is_not_done_here_is_refused_by_name(place: Place) -> None:
    with uploading(place) as up:
        for call in (up.create_append_blob, lambda: up.set_blob_metadata({"a": "b"}), lambda: up.acquire_lease()):
            with pytest.raises(HttpResponseError) as refused:
                call()
            assert refused.value.status_code == 400
            assert refused.value.error_code
        with pytest.raises(HttpResponseError) as structured:
            up.upload_blob(pieces(b"framed"), validate_content="crc64-sm", max_concurrency=1)
        assert structured.value.error_code == "UnsupportedHeader"
        assert not up.exists()


def test_a_wrong_signature_and_a_wrong_right_are_told_apart_from_absence(place: Place) -> None:
    ticket = place.ask(NAME)
    with (
        BlobClient.from_blob_url(ticket["upload"].replace("sig=", "sig=A"), retry_total=0) as forged,
        pytest.raises(ClientAuthenticationError) as refused,
    ):
        forged.upload_blob(b"one")
    assert refused.value.error_code == "AuthenticationFailed"
    with uploading(place) as up, pytest.raises(HttpResponseError) as unreadable:
        up.download_blob()
    assert unreadable.value.error_code == "AuthorizationPermissionMismatch"


def test_an_upload_is_given_up(place: Place) -> None:
    with uploading(place) as up:
        up.stage_block("01", b"one")
        up.delete_blob()
        with pytest.raises(HttpResponseError):
            up.commit_block_list([BlobBlock("01")])


def test_the_asynchronous_client_does_the_same(place: Place) -> None:
    contents = {f"{size}.bin": os.urandom(size) for size in SIZES}

    async def one(name: str, content: bytes) -> None:
        async with AsyncBlobClient.from_blob_url(place.ask(name)["upload"], **SMALL) as up:
            await up.upload_blob(content, max_concurrency=4, validate_content=True)
            with pytest.raises(ResourceExistsError):
                await up.upload_blob(b"other")
        async with AsyncBlobClient.from_blob_url(place.ask(f"streamed {name}")["upload"], **SMALL) as up:
            await up.upload_blob(async_pieces(content), max_concurrency=4 if content else 1)
        for stored in (name, f"streamed {name}"):
            async with AsyncBlobClient.from_blob_url(place.get(stored)["download"], **SMALL) as down:
                found = await down.download_blob(max_concurrency=4, validate_content=True)
                assert await found.readall() == content

    async def all_at_once() -> None:
        await asyncio.gather(*(one(name, content) for name, content in contents.items()))

    asyncio.run(all_at_once())
