"""Long words hold up nobody: no request computes for long in one go in the event loop's thread, where all others wait."""

from __future__ import annotations

import asyncio
import base64
import gc
import time
from asyncio import events
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest

from unit.service import Service

MOST_SECONDS = 0.05
"""Of a turn, where what ``pace`` computes takes a fifth of that, as on a quiet machine of 2026; in proportion elsewhere."""
_JSON = ((b"content-type", b"application/json"),)
_MOST_PARTS = 10_000


class Long(NamedTuple):
    """A request that is as long as its protocol lets it be."""

    method: str
    target: bytes
    body: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The computing (seconds) of every turn of the loop, without collecting garbage: a test's process has far more to look at."""
    took: list[float] = []
    run = events.Handle._run

    def measured(handle: events.Handle) -> None:
        began = time.thread_time()
        run(handle)
        took.append(time.thread_time() - began)

    monkeypatch.setattr(events.Handle, "_run", measured)
    gc.disable()
    yield took
    gc.enable()


def block_list(service: Service) -> Long:
    ids = b"".join(b"<Latest>%s</Latest>" % base64.b64encode(b"%06d" % number) for number in range(50_000))
    return Long("PUT", _url(service) + b"&comp=blocklist", b"<BlockList>" + ids + b"</BlockList>", 400)


def part_list(service: Service) -> Long:
    checksums = b"<ChecksumCRC32>aaaaaa==</ChecksumCRC32><ChecksumCRC32C>aaaaaa==</ChecksumCRC32C>"
    part = b"<Part><PartNumber>%d</PartNumber><ETag>e</ETag>" + checksums + b"</Part>"
    parts = b"".join(part % number for number in range(1, _MOST_PARTS + 1))
    body = b"<CompleteMultipartUpload>" + parts + b"</CompleteMultipartUpload>"
    return Long("POST", _url(service, "part_url"), body, 400)


def urls_of_parts(service: Service) -> Long:
    asked = {"name": "a", "size": _MOST_PARTS * 65536, "partSize": 65536}
    return _json("POST", f"/v1/files/multipart/{_folder(service)}/initiate", asked, 200)


def fresh_urls_of_parts(service: Service) -> Long:
    place = f"/v1/files/multipart/{_folder(service)}"
    made = service.request("POST", f"{place}/initiate", json={"name": "a", "size": 3 * 65536, "partSize": 65536}).json()
    asked = {"id": made["id"], "uploadId": made["uploadId"], "partNumbers": [1, 2, 3] * (_MOST_PARTS // 3)}
    return _json("POST", f"{place}/urls", asked, 200)


def tiny_objects(_service: Service) -> Long:
    body = b'{"name":"a","metadata":{"a":[' + b'{"":0},' * 149_000 + b"0]}}"
    return Long("POST", b"/api/uploads", body, 400, _JSON)


def tiny_objects_beside_a_file(_service: Service) -> Long:
    body = b'{"filename":"a","base64":"","metadata":{"a":[' + b'{"":0},' * 300_000 + b"0]}}"
    return Long("POST", b"/v1/files", body, 400, _JSON)


def many_tickets(service: Service) -> Long:
    files = [{"name": f"f{number}", "size": 1} for number in range(1000)]
    return _json("POST", f"/v1/files/{_folder(service)}", {"filesMetadata": files}, 200)


def joined_uploads(service: Service) -> Long:
    url = _url(service)
    fields = {"upload-length": "0", "upload-concat": "partial", "tus-resumable": "1.0.0"}
    made = service.ask_raw("POST", url, [(name.encode(), value.encode()) for name, value in fields.items()])
    path = urlsplit(dict(made.headers)[b"location"].decode()).path
    joined = f"final;{' '.join([path] * 1000)}".encode()
    return Long("POST", b"/tus", b"", 403, ((b"tus-resumable", b"1.0.0"), (b"upload-concat", joined)))


@pytest.mark.parametrize(
    "make",
    [
        block_list,
        part_list,
        urls_of_parts,
        fresh_urls_of_parts,
        tiny_objects,
        tiny_objects_beside_a_file,
        many_tickets,
        joined_uploads,
    ],
    ids=lambda make: make.__name__,
)
def test_no_turn_of_the_loop_is_long(service: Service, turns: list[float], make: Callable[[Service], Long]) -> None:
    long = make(service)
    longest, paces = [], [pace()]
    # The better of two: the first may be the first at all.
    for _ in range(2):
        turns.clear()
        answer = service.ask_raw(long.method, long.target, long.headers, long.body)
        assert answer.status == long.status, answer
        longest.append(max(turns))
        paces.append(pace())
    assert min(longest) < max(MOST_SECONDS, 5 * max(paces))


def pace() -> float:
    """Return how long (seconds of computing) something takes that is the same always: to make objects and look some up."""
    began = time.thread_time()
    made = {str(number).encode(): number for number in range(60_000)}
    assert sum(made.values())
    return time.thread_time() - began


def test_the_turns_of_a_loop_are_measured(turns: list[float]) -> None:
    async def compute() -> None:
        until = time.thread_time() + 2 * MOST_SECONDS
        while time.thread_time() < until:
            pass

    asyncio.new_event_loop().run_until_complete(compute())
    assert max(turns) > MOST_SECONDS


def _url(service: Service, name: str = "url") -> bytes:
    asked = {"name": "a", "size": _MOST_PARTS * 65536, "parts": True, "part_size": 65536}
    made = service.request("POST", "/api/uploads", json=asked if name == "part_url" else {"name": "a"}).json()
    split = urlsplit(made[name])
    return f"{split.path}?{split.query}".encode()


def _folder(service: Service) -> str:
    folder: str = service.request("POST", "/v1/folders", json={"name": "in"}).json()["id"]
    return folder


def _json(method: str, path: str, asked: dict[str, Any], status: int) -> Long:
    return Long(method, path.encode(), msgspec.json.encode(asked), status, _JSON)
