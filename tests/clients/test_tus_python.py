"""tuspy, aiotus and resumable-upload, as published, at a signed URL and at /tus with a key."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import aiohttp
import aiotus
import httpx
import pytest
import tusclient.exceptions
from resumable_upload import TusClient as ResumableClient
from tusclient.client import TusClient

from support.live_server import LiveServer
from wire.tus import call, offset_of, stored, ticket

CONTENT = os.urandom(300_001)
NAMES = {"filename": "clip.bin", "filetype": "video/x-test"}
SHORT = aiotus.RetryConfiguration(max_retry_period_seconds=10)


@pytest.fixture(params=["signed URL", "key", "key and slash"])
def endpoint(request: pytest.FixtureRequest, http: httpx.Client, server: LiveServer) -> tuple[str, dict[str, str]]:
    """Where uploads are created, and the headers that it takes."""
    if request.param == "signed URL":
        return ticket(http)["url"], {}
    return f"{server.url}/tus{'/' if 'slash' in request.param else ''}", {"X-API-Key": server.root_key}


Endpoint = tuple[str, dict[str, str]]


def arrived(http: httpx.Client, location: str) -> bytes:
    """Return the bytes of the file that an upload has become, found by the URL that its client knows."""
    upload = http.get(f"/api/uploads/{location.split('/')[4]}").json()
    assert upload["state"] == "completed"
    return stored(http, upload)


@pytest.mark.parametrize("size", [0, 1, len(CONTENT)])
@pytest.mark.parametrize("checksum", [False, True])
def test_tuspy(http: httpx.Client, endpoint: Endpoint, size: int, checksum: bool) -> None:
    url, headers = endpoint
    sending = TusClient(url, headers=headers).uploader(
        file_stream=io.BytesIO(CONTENT[:size]), chunk_size=100_000, metadata=NAMES, upload_checksum=checksum
    )
    sending.upload()
    assert arrived(http, sending.url) == CONTENT[:size]


def test_tuspy_goes_on_at_a_url_it_was_given(http: httpx.Client) -> None:
    asked = ticket(http, size=len(CONTENT))
    first = TusClient("").uploader(file_stream=io.BytesIO(CONTENT), url=asked["url"], chunk_size=100_000)
    first.upload_chunk()
    second = TusClient("").uploader(file_stream=io.BytesIO(CONTENT), url=asked["url"], chunk_size=70_000)
    assert second.offset == 100_000
    second.upload()
    assert stored(http, asked) == CONTENT


def test_tuspy_hears_of_a_checksum_that_is_wrong(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ticket(http, size=len(CONTENT))
    sending = TusClient("").uploader(
        file_stream=io.BytesIO(CONTENT), url=asked["url"], chunk_size=100_000, upload_checksum=True
    )
    real = sending.checksum_algorithm
    sending.upload_chunk()

    class Wrong:
        def __init__(self, data: bytes) -> None:
            self._digest = real(data + b"!")

        def digest(self) -> bytes:
            return bytes(self._digest.digest())

    monkeypatch.setattr(sending, "_BaseUploader__checksum_algorithm", Wrong)
    with pytest.raises(tusclient.exceptions.TusUploadFailed) as failed:
        sending.upload_chunk()
    assert failed.value.status_code == 460
    assert offset_of(asked["url"]) == 100_000


@pytest.mark.parametrize("size", [0, 1, len(CONTENT)])
def test_aiotus(http: httpx.Client, endpoint: Endpoint, size: int) -> None:
    url, headers = endpoint
    said: Any = {name: value.encode() for name, value in NAMES.items()}

    async def send() -> str:
        async with aiohttp.ClientSession(headers=headers) as session:
            made = await aiotus.upload(url, io.BytesIO(CONTENT[:size]), said, session, SHORT, chunksize=100_000)
            assert made is not None
            assert await aiotus.metadata(made, session, SHORT) == said
            return str(made)

    assert arrived(http, asyncio.run(send())) == CONTENT[:size]


def test_aiotus_joins_what_it_sent_at_once(http: httpx.Client, endpoint: Endpoint) -> None:
    """It names what is to be joined by path alone, without the signature."""
    url, headers = endpoint
    pieces = [CONTENT[:100_000], CONTENT[100_000:100_001], CONTENT[100_001:]]

    async def send() -> str:
        async with aiohttp.ClientSession(headers=headers) as session:
            files = [io.BytesIO(piece) for piece in pieces]
            made = await aiotus.upload_multiple(url, files, {}, session, SHORT, chunksize=60_000)
            assert made is not None
            return str(made)

    assert arrived(http, asyncio.run(send())) == CONTENT


@pytest.mark.parametrize("size", [0, 1, len(CONTENT)])
@pytest.mark.parametrize("checksum", [False, "sha1", "sha256"])
@pytest.mark.parametrize("override", [False, True])
def test_resumable_upload(
    http: httpx.Client, endpoint: Endpoint, size: int, checksum: bool | str, override: bool
) -> None:
    url, headers = endpoint
    client = ResumableClient(
        url, chunk_size=100_000, checksum=checksum, headers=headers, max_retries=0, override_patch_method=override
    )
    location = client.upload_file(file_stream=io.BytesIO(CONTENT[:size]), metadata=NAMES)
    assert arrived(http, location) == CONTENT[:size]
    assert client.get_metadata(location) == NAMES


def test_resumable_upload_in_parallel_and_resumed(http: httpx.Client, endpoint: Endpoint, tmp_path: Path) -> None:
    url, headers = endpoint
    (tmp_path / "clip.bin").write_bytes(CONTENT)
    client = ResumableClient(url, chunk_size=40_000, headers=headers, max_retries=0)
    together = client.upload_file(str(tmp_path / "clip.bin"), metadata=NAMES, parallel_uploads=3)
    assert arrived(http, together) == CONTENT

    other = ResumableClient(ticket(http)["url"], chunk_size=40_000, max_retries=0)
    begun = other.upload_file(str(tmp_path / "clip.bin"), stop_at=80_000)
    assert offset_of(begun) == 80_000
    assert other.resume_upload(str(tmp_path / "clip.bin"), begun) == begun
    assert arrived(http, begun) == CONTENT


def test_resumable_upload_asks_what_is_spoken_and_gives_up(http: httpx.Client, endpoint: Endpoint) -> None:
    url, headers = endpoint
    client = ResumableClient(url, headers=headers, max_retries=0)
    assert "concatenation" in client.get_server_info()["extensions"]
    location = client.create_deferred_upload()
    client.delete_upload(location)
    assert call("HEAD", location).status_code == 410
