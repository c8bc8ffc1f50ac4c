"""What Python programs and shells send to signed URLs: requests and aiohttp, streams without a length, several processes, curl."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests

from clients.sending import NO_PROXY, put, put_all
from support.live_server import MakeServer
from wire.asking import SMALL_PART, ask_one, confirmed, etag_of, finish, initiate, open_ticket, part_url, send

SIZE = 2_500_000


def test_requests_sends_parts_from_a_pool_of_threads(http: httpx.Client) -> None:
    content = os.urandom(9 * SMALL_PART + 1)
    upload = initiate(http, len(content))
    with ThreadPoolExecutor(4) as pool:
        sending = {number: pool.submit(put, url, upload.piece(content, number)) for number, url in upload.urls.items()}
    assert upload.complete({number: sent.result() for number, sent in sending.items()}).status_code == 200
    assert upload.fetch().content == content


def test_several_processes_send_parts_to_a_server_of_several_processes(make_server: MakeServer) -> None:
    """Every part comes from two processes, so that attempts at one part meet in different server processes too."""
    own = make_server(workers=2)
    content = os.urandom(8 * SMALL_PART + 9)
    with own.client() as http:
        upload = initiate(http, len(content))
        work = [(number, url, upload.piece(content, number)) for number, url in upload.urls.items()]
        with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
            shares = [work[:6], work[3:], [*work[6:], *work[:3]]]
            etags = {number: etag for sent in pool.map(put_all, shares) for number, etag in sent.items()}
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: upload.complete(dict(sorted(etags.items()))), range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
        assert len({answer.text for answer in answers}) == 1
        assert upload.fetch().content == content


def test_requests_streams_a_generator_without_a_length(http: httpx.Client) -> None:
    content = os.urandom(SIZE)
    ticket = ask_one(http, SIZE)
    pieces: Iterator[bytes] = (content[start : start + 70_000] for start in range(0, SIZE, 70_000))
    answer = requests.put(ticket["url"], data=pieces, proxies=NO_PROXY, timeout=60)
    assert (answer.status_code, answer.headers["ETag"]) == (200, etag_of(content))
    assert confirmed(http, ticket) == content


def test_requests_sends_an_empty_file_in_chunks(http: httpx.Client, tmp_path: Path) -> None:
    """requests announces no length for an empty file."""
    (tmp_path / "empty").touch()
    ticket = ask_one(http, 0)
    with (tmp_path / "empty").open("rb") as source:
        assert requests.put(ticket["url"], data=source, proxies=NO_PROXY, timeout=60).status_code == 200
    assert confirmed(http, ticket) == b""


def test_aiohttp_streams_whole_files_and_parts_without_a_length(http: httpx.Client) -> None:
    content = os.urandom(SIZE)
    whole = ask_one(http, SIZE)
    in_parts = open_ticket(http, parts=True)

    async def pieces(of: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(of), 70_000):
            yield of[start : start + 70_000]

    async def put_streamed(session: aiohttp.ClientSession, url: str, body: bytes) -> str:
        async with session.put(url, data=pieces(body)) as answer:
            assert answer.status == 200, await answer.text()
            return answer.headers["ETag"]

    async def main() -> list[str]:
        async with aiohttp.ClientSession() as session:
            parts = [content[start : start + 800_000] for start in range(0, SIZE, 800_000)]
            sending = [put_streamed(session, part_url(in_parts, number), part) for number, part in enumerate(parts, 1)]
            return await asyncio.gather(put_streamed(session, whole["url"], content), *sending)

    assert asyncio.run(main())[0] == etag_of(content)
    assert confirmed(http, whole) == content
    assert send(finish(http, in_parts).json()["url"], method="GET").content == content


def test_aiohttp_reads_why_it_was_cut_off(http: httpx.Client) -> None:
    ticket = ask_one(http, 10)

    async def main() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.put(ticket["url"], data=b"x" * 3_000_000) as answer:
            return answer.status, (await answer.json(content_type=None))["code"]

    assert asyncio.run(main()) == (413, "file_too_large")


def curl(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=90)


@pytest.mark.service("curl")
@pytest.mark.parametrize("size", [0, 1, SIZE])
def test_curl_sends_a_file_and_a_pipe(http: httpx.Client, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "a.bin").write_bytes(content)
    for source, stdin in ((str(tmp_path / "a.bin"), None), ("-", content)):
        ticket = ask_one(http, size)
        sent = curl("--fail", "-T", source, ticket["url"], stdin=stdin)
        assert sent.returncode == 0, sent.stderr
        assert confirmed(http, ticket) == content


@pytest.mark.service("curl")
def test_curl_sends_parts_and_shows_their_etags(http: httpx.Client, tmp_path: Path) -> None:
    content = os.urandom(SMALL_PART + 10)
    upload = initiate(http, len(content))
    etags = {}
    for number, url in upload.urls.items():
        (tmp_path / "part").write_bytes(upload.piece(content, number))
        sent = curl("--fail", "-T", str(tmp_path / "part"), "-o", os.devnull, "-w", "%header{etag}", url)
        etags[number] = sent.stdout.decode()
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == content


@pytest.mark.service("curl")
def test_curl_sees_the_refusal_of_a_file_that_is_too_large(http: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(SIZE))
    ticket = ask_one(http, 10)
    sent = curl("-T", str(tmp_path / "a.bin"), "-w", "%{http_code}", ticket["url"])
    assert sent.stdout.endswith(b"413")
    assert b"file_too_large" in sent.stdout
