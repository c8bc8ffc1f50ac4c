"""google-resumable-media and google-cloud-storage's own copy of it, as published, at signed URLs: only the URL is ours."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import requests
from google.cloud.storage._media import requests as storage_media
from google.cloud.storage.exceptions import InvalidResponse as StorageInvalidResponse
from google.resumable_media import InvalidResponse
from google.resumable_media import requests as resumable_media

from wire.asking import send
from wire.google_session import crc32c, md5, piece
from wire.tus import is_there, stored, ticket

CHUNK = 256 * 1024
SIZES = [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK, 2 * CHUNK + 333]
CLIENTS = {"google-resumable-media": resumable_media, "google-cloud-storage": storage_media}
INITIATE = {"x-goog-resumable": "start"}
PDF = "application/pdf"


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def media(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def transport() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def initiated(
    media: Any,
    transport: requests.Session,
    url: str,
    content: bytes,
    *,
    headers: dict[str, str] | None = INITIATE,
    stream_final: bool = True,
    checksum: str | None = "crc32c",
) -> Any:
    """Return an upload that the client has initiated the public way."""
    upload = media.ResumableUpload(url, CHUNK, checksum=checksum, headers=headers)
    upload.initiate(transport, io.BytesIO(content), {}, PDF, stream_final=stream_final)
    return upload


def given(media: Any, url: str, content: bytes, *, total: int | None) -> Any:
    """Return an upload whose session was made by someone else, which that client has no public way for."""
    upload = media.ResumableUpload(url, CHUNK, checksum=None)
    upload._resumable_url, upload._stream, upload._content_type = url, io.BytesIO(content), PDF
    upload._total_bytes = total
    return upload


def send_all(upload: Any, transport: requests.Session) -> dict[str, Any]:
    """Send what is left, and return the object resource."""
    while not upload.finished:
        answer = upload.transmit_next_chunk(transport)
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stream_final", [True, False], ids=["known length", "unknown length"])
@pytest.mark.parametrize("checksum", ["crc32c", "md5"])
def test_bytes_go_up_from_the_initiation_on(
    http: httpx.Client,
    media: Any,
    transport: requests.Session,
    size: int,
    stream_final: bool,
    checksum: str,
) -> None:
    asked, content = ticket(http, name="report"), os.urandom(size)
    upload = initiated(media, transport, asked["url"], content, stream_final=stream_final, checksum=checksum)
    found = send_all(upload, transport)
    assert (found["size"], found["crc32c"], found["md5Hash"]) == (str(size), crc32c(content), md5(content))
    assert stored(http, asked) == content


@pytest.mark.parametrize("headers", [None, INITIATE], ids=["json", "signed url"])
def test_both_ways_to_initiate_are_known(
    http: httpx.Client, media: Any, transport: requests.Session, headers: dict[str, str] | None
) -> None:
    asked = ticket(http, name="report")
    upload = initiated(media, transport, asked["url"], b"%PDF-1.7", headers=headers)
    assert send_all(upload, transport)["contentType"] == PDF
    assert http.get(f"/api/files/{asked['file_id']}").json()["content_type"] == PDF


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("knows_total", [True, False])
def test_a_signed_url_is_a_session_already(
    http: httpx.Client, media: Any, transport: requests.Session, size: int, knows_total: bool
) -> None:
    asked, content = ticket(http), os.urandom(size)
    upload = given(media, asked["url"], content, total=size if knows_total else None)
    assert send_all(upload, transport)["size"] == str(size)
    assert stored(http, asked) == content


@pytest.mark.parametrize("there", [0, 1, CHUNK, CHUNK + 77])
@pytest.mark.parametrize("knows_total", [True, False])
def test_another_process_goes_on_where_the_first_one_stopped(
    http: httpx.Client, media: Any, transport: requests.Session, there: int, knows_total: bool
) -> None:
    asked, content = ticket(http), os.urandom(2 * CHUNK + 333)
    if there:
        piece(asked["url"], content, 0, there, "*")
    upload = given(media, asked["url"], content, total=len(content) if knows_total else None)
    upload.recover(transport)
    assert upload.bytes_uploaded == there
    send_all(upload, transport)
    assert stored(http, asked) == content


class Flaky(requests.Session):
    """A transport that loses the answer to the requests of these numbers, or never sends them."""

    def __init__(self, lost: set[int], unsent: set[int]) -> None:
        super().__init__()
        self.trust_env = False
        self._lost = lost
        self._unsent = unsent
        self._number = 0

    def request(self, *args: Any, **options: Any) -> requests.Response:
        self._number += 1
        if self._number in self._unsent:
            raise requests.exceptions.ConnectionError("never sent")
        answer = super().request(*args, **options)
        if self._number in self._lost:
            raise requests.exceptions.ConnectionError("the answer was lost")
        return answer


@pytest.mark.parametrize(("lost", "unsent"), [({2}, set()), (set(), {2, 3}), ({3, 4}, set()), ({2, 4}, {3})])
def test_lost_requests_and_answers_are_repeated_by_the_client_itself(
    http: httpx.Client, media: Any, lost: set[int], unsent: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client waits before it repeats; what it repeats is the same request, the last one's included."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    asked, content = ticket(http), os.urandom(3 * CHUNK)
    transport = Flaky(lost, unsent)
    upload = initiated(media, transport, asked["url"], content)
    assert send_all(upload, transport)["crc32c"] == crc32c(content)
    assert stored(http, asked) == content


def test_a_refused_piece_leaves_an_upload_that_recovers(
    http: httpx.Client, media: Any, transport: requests.Session
) -> None:
    asked, content = ticket(http), os.urandom(2 * CHUNK + 1)
    upload = given(media, asked["url"], content, total=len(content))
    upload._stream.seek(CHUNK)
    upload._bytes_uploaded = CHUNK
    with pytest.raises((InvalidResponse, StorageInvalidResponse)) as gap:
        upload.transmit_next_chunk(transport)
    assert gap.value.response.status_code == 400
    assert upload.invalid
    upload.recover(transport)
    assert upload.bytes_uploaded == 0
    send_all(upload, transport)
    assert stored(http, asked) == content


def test_a_stream_that_is_not_what_was_summed_is_refused(http: httpx.Client, transport: requests.Session) -> None:
    """This client sends the sum of all it has read with the last piece."""
    asked, content = ticket(http), os.urandom(CHUNK + 10)
    upload = initiated(storage_media, transport, asked["url"], content)
    upload.transmit_next_chunk(transport)
    upload._checksum_object.update(b"something else")
    with pytest.raises(StorageInvalidResponse) as refused:
        upload.transmit_next_chunk(transport)
    assert refused.value.response.status_code == 400
    assert not is_there(http, asked)


def test_a_cancelled_session_is_over_for_the_client(
    http: httpx.Client, media: Any, transport: requests.Session
) -> None:
    asked = ticket(http)
    upload = initiated(media, transport, asked["url"], bytes(2 * CHUNK))
    upload.transmit_next_chunk(transport)
    assert send(upload.resumable_url, method="DELETE").status_code == 499
    with pytest.raises((InvalidResponse, StorageInvalidResponse)) as over:
        upload.transmit_next_chunk(transport)
    assert over.value.response.status_code == 410


@pytest.mark.parametrize("checksum", ["crc32c", "md5"])
def test_numbered_parts_of_google_cloud_storage_find_the_checksum_they_ask_for(
    http: httpx.Client, transport: requests.Session, tmp_path: Path, checksum: str
) -> None:
    """The client adds queries of its own to an address without one; the session adds the signature to all of them."""
    content, asked, path = os.urandom(SIZES[-1]), ticket(http), tmp_path / "content"
    path.write_bytes(content)
    address, _, signature = asked["url"].partition("?")
    transport.params = dict(parse_qsl(signature))
    container = storage_media.XMLMPUContainer(address, str(path), retry=None)
    container.initiate(transport, PDF)
    for number, start in enumerate(range(0, len(content), CHUNK), 1):
        end = min(start + CHUNK, len(content))
        part = storage_media.XMLMPUPart(
            address, container.upload_id, str(path), start, end, number, checksum=checksum, retry=None
        )
        part.upload(transport)
        container.register_part(number, part.etag)
    container.finalize(transport)
    assert stored(http, asked) == content
