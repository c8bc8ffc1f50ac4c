"""How many runs of bytes a version may lie in, and how much work may be made of little that was sent."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Sequence
from types import ModuleType
from urllib.parse import urlsplit

import httpx
import pytest

from fileferry.engine.receiving import extents
from fileferry.engine.receiving.extents import BYTES_OF_EACH, MOST_EXTENTS, joined
from fileferry.errors import TooManyPieces
from fileferry.model import Extent
from fileferry.wire import azure, s3
from unit.service import Service

_TUS = {"Tus-Resumable": "1.0.0"}


def scattered(count: int, length: int = 2) -> list[Extent]:
    return [Extent(number * 2 * length, length) for number in range(count)]


def test_runs_that_follow_each_other_in_one_blob_are_one() -> None:
    pieces = [Extent(0, 2), Extent(2, 3), Extent(5, 0), Extent(5, 1, "b"), Extent(6, 1, "b"), Extent(9, 1, "b")]
    assert joined(pieces) == (Extent(0, 5), Extent(5, 2, "b"), Extent(9, 1, "b"))


def test_a_version_lies_in_few_runs_unless_it_is_large() -> None:
    assert len(joined(scattered(MOST_EXTENTS))) == MOST_EXTENTS
    with pytest.raises(TooManyPieces):
        joined(scattered(MOST_EXTENTS + 1))
    assert len(joined(scattered(2 * MOST_EXTENTS, BYTES_OF_EACH))) == 2 * MOST_EXTENTS
    with pytest.raises(TooManyPieces):
        joined(scattered(50_001, BYTES_OF_EACH))


@pytest.fixture
def url(service: Service) -> str:
    return ticket(service)


def ticket(service: Service) -> str:
    answer = service.request("POST", "/api/uploads", json={"path": "whole", "auto_complete": True})
    split = urlsplit(answer.json()["url"])
    return f"{split.path}?{split.query}"


def put_block(service: Service, url: str, number: int, content: bytes) -> None:
    block_id = base64.b64encode(b"%06d" % number).decode()
    answer = service.request("PUT", url, params={**_query(url), "comp": "block", "blockid": block_id}, content=content)
    assert answer.status_code == 201, answer.text


def put_list(service: Service, url: str, numbers: Sequence[int], **headers: str) -> httpx.Response:
    ids = "".join(f"<Latest>{base64.b64encode(b'%06d' % number).decode()}</Latest>" for number in numbers)
    body = f"<BlockList>{ids}</BlockList>"
    query = {**_query(url), "comp": "blocklist"}
    return service.request("PUT", url, params=query, content=body, headers=headers)


def _query(url: str) -> dict[str, str]:
    return dict(httpx.URL(url).params)


def test_a_list_of_two_tiny_blocks_in_turn_is_refused_and_another_one_taken(service: Service, url: str) -> None:
    put_block(service, url, 1, b"ab")
    put_block(service, url, 2, b"cd")
    put_block(service, url, 3, b"ef")
    refused = put_list(service, url, [1, 3] * 25_000)
    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (400, "InvalidBlockList")
    assert put_list(service, url, [1, 3] * 500).status_code == 201
    assert service.request("GET", "/api/files/path/whole").json()["size"] == 2000


def test_what_may_be_listed_makes_no_answer_dear(service: Service, url: str) -> None:
    for number in (1, 2, 3):
        put_block(service, url, number, b"ab")
    assert put_list(service, url, [1, 3] * 500).status_code == 201
    public = urlsplit(service.request("GET", "/api/files/path/whole").json()["url"]).path
    service.request("HEAD", public, key=None)
    seconds = []
    for _ in range(5):
        began = time.process_time()
        assert service.request("HEAD", public, key=None).status_code == 200
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.03


def test_what_is_listed_again_is_bounded_by_what_was_sent(
    service: Service, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extents, "MOST_REPEATED", 1000)
    put_block(service, url, 1, b"a" * 500)
    refused = put_list(service, url, [1] * 4, **{"x-ms-blob-content-md5": base64.b64encode(bytes(16)).decode()})
    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (400, "InvalidBlockList")
    assert put_list(service, url, [1] * 3).status_code == 201


def partial(service: Service, url: str, content: bytes) -> str:
    headers = {**_TUS, "Upload-Length": str(len(content)), "Upload-Concat": "partial"}
    headers["Content-Type"] = "application/offset+octet-stream"
    answer = service.request("POST", url, headers=headers, content=content)
    assert answer.status_code == 201, answer.text
    location: str = answer.headers["location"]
    return location


def join(service: Service, url: str, partials: Sequence[str]) -> httpx.Response:
    return service.request("POST", url, headers={**_TUS, "Upload-Concat": f"final;{' '.join(partials)}"})


def test_joining_partial_uploads_is_bounded_in_the_same_way(
    service: Service, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extents, "MOST_REPEATED", 1000)
    one, other = partial(service, url, b"a" * 300), partial(service, url, b"b" * 200)
    assert join(service, url, [one] * 1001).json()["code"] == "bad_request"
    assert join(service, url, [one, other] * 4).json()["code"] == "too_many_pieces"
    monkeypatch.setattr(extents, "MOST_EXTENTS", 3)
    assert join(service, url, [one, other] * 2).json()["code"] == "too_many_pieces"
    assert join(service, url, [one, other, one]).status_code == 201
    assert service.request("GET", "/api/files/path/whole").json()["size"] == 800


def test_metadata_is_judged_before_others_wait_for_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    file = service.upload()
    large = {"a": "b" * 20_000}

    async def refuse(*_given: object) -> None:
        raise AssertionError("nothing is to be written")

    monkeypatch.setattr(service._engine.database, "write", refuse)
    for method, path, body in (
        ("POST", "/api/uploads", {"name": "a", "metadata": large}),
        ("PATCH", f"/api/files/{file['id']}", {"metadata": large}),
    ):
        assert service.request(method, path, json=body).json()["code"] == "invalid_metadata"


@pytest.mark.parametrize("protocol", [azure, s3], ids=["blocks", "parts"])
def test_a_list_is_read_beside_the_loop(
    service: Service, url: str, monkeypatch: pytest.MonkeyPatch, protocol: ModuleType
) -> None:
    threads = []

    def parse(body: bytes) -> object:
        threads.append(threading.current_thread())
        return parse_list(body)

    parse_list = protocol._parse_list
    monkeypatch.setattr(protocol, "_parse_list", parse)
    if protocol is azure:
        put_block(service, url, 1, b"ab")
        assert put_list(service, url, [1]).status_code == 201
    else:
        upload_id = url.split("/")[2]
        query = {**_query(url), "uploadId": upload_id}
        part = service.request("PUT", url, params={**query, "partNumber": "1"}, content=b"ab")
        listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
        assert service.request("POST", url, params=query, content=body).status_code == 200
    assert threads != [threading.current_thread()], "50,000 blocks take a tenth of a second"
    assert threads
