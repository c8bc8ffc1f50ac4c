"""Long bodies, which pass the parser by: every byte arrives once and in order, and what follows is the next request."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from uvicorn import Config
from uvicorn.server import ServerState

from fileferry.web.connections import Connection
from fileferry.web.long_bodies import LongBodies
from support.link import RESET

LONG = random.Random(7).randbytes(3_000_000)
SHORT = b"short"

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def request(body: bytes, *fields: str, close: bool = False) -> bytes:
    lines = ["POST / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields, *(["Connection: close"] * close)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def digests(answer: bytes) -> list[str]:
    """Return the body of each answer, which is as long as a SHA-256 in hexadecimal is."""
    return [part.partition(b"\r\n\r\n")[2][:64].decode() for part in answer.split(b"HTTP/1.1 200 ")[1:]]


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def digesting(_scope: Any, receive: Any, send: Any) -> None:
    """Answer with the SHA-256 of the body."""
    hashed = hashlib.sha256()
    more = True
    while more:
        message = await receive()
        hashed.update(message["body"])
        more = message["more_body"]
    await answer(send, hashed.hexdigest().encode())


async def talk(application: Any, *clients: Client) -> list[bytes]:
    """Return what each client returns, all at once on a connection of its own."""
    config = Config(application, log_config=None)
    config.load()
    loop, state = asyncio.get_running_loop(), ServerState()
    server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)

    async def one(client: Client) -> bytes:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            return await client(reader, writer)
        finally:
            writer.close()

    async with server:
        return await asyncio.gather(*map(one, clients))


def sending(*pieces: bytes) -> Client:
    """A client that sends these, with a moment in between, and reads until the server closes."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.002)
        return await reader.read()

    return client


@pytest.fixture
def read_on(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were read from the socket each time that it was read by who asks for the body."""
    read: list[int] = []
    before = LongBodies.read_on

    def noted(self: LongBodies) -> bytes:
        piece = before(self)
        read.append(len(piece))
        return piece

    monkeypatch.setattr(LongBodies, "read_on", noted)
    return read


def test_a_long_body_and_the_requests_after_it(read_on: list[int]) -> None:
    sent = request(LONG) + request(SHORT) + request(LONG[::-1]) + request(SHORT, close=True)
    (got,) = uvloop.run(talk(digesting, sending(sent)))
    assert digests(got) == [sha256(LONG), sha256(SHORT), sha256(LONG[::-1]), sha256(SHORT)]
    assert sum(read_on) > len(LONG), "most of it was not read in this way"


@pytest.mark.parametrize("seed", range(12))
def test_wherever_it_is_cut(seed: int) -> None:
    choose = random.Random(seed)
    first = LONG[: choose.choice([256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 700_000])]
    sent = request(first) + request(SHORT) + request(first, close=True)
    cuts = sorted({0, len(sent), *(choose.randrange(len(sent)) for _ in range(choose.randrange(1, 40)))})
    pieces = [sent[start:end] for start, end in itertools.pairwise(cuts)]
    (got,) = uvloop.run(talk(digesting, sending(*pieces)))
    assert digests(got) == [sha256(first), sha256(SHORT), sha256(first)]


def test_a_client_that_asks_before_it_sends() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        whole = request(LONG, "Expect: 100-continue", close=True)
        writer.write(whole[: -len(LONG)])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(LONG)
        return await reader.read()

    (got,) = uvloop.run(talk(digesting, client))
    assert digests(got) == [sha256(LONG)]


def test_what_nobody_asks_for_is_not_the_next_request() -> None:
    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        if dict(scope["headers"])[b"content-length"] == b"%d" % len(LONG):
            await answer(send, b"-" * 64)
        else:
            await digesting(scope, receive, send)

    hidden = request(b"hidden") * (len(LONG) // len(request(b"hidden")) + 1)
    sent = request(hidden[: len(LONG)]) + request(SHORT, close=True)
    (got,) = uvloop.run(talk(hasty, sending(sent)))
    assert digests(got) == ["-" * 64, sha256(SHORT)]


@pytest.mark.parametrize("sent", [100, 300_000, 2_900_000])
def test_a_client_that_leaves(sent: int) -> None:
    seen: list[str] = []

    async def watching(_scope: Any, receive: Any, _send: Any) -> None:
        came = 0
        while (message := await receive())["type"] == "http.request":
            came += len(message["body"])
        seen.append(f"{message['type']} after {came}")

    async def client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        whole = request(LONG)
        writer.write(whole[: len(whole) - len(LONG) + sent])
        writer.write_eof()
        while not seen:
            await asyncio.sleep(0.01)
        return b""

    uvloop.run(talk(watching, client))
    assert seen == [f"http.disconnect after {sent}"]


def test_a_client_that_resets_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    has_reset = asyncio.Event()

    async def watching(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        await has_reset.wait()
        while (message := await receive())["type"] == "http.request":
            pass
        seen.append(message["type"])

    async def client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(request(LONG)[:-1])
        await asyncio.sleep(0.05)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        has_reset.set()
        for _ in range(500):
            if seen or caplog.records:
                break
            await asyncio.sleep(0.01)
        return b""

    uvloop.run(talk(watching, client))
    assert seen == ["http.disconnect"]
    assert not caplog.records


def test_a_fast_client_does_not_keep_the_loop_from_others() -> None:
    order: list[str] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        await digesting(scope, receive, send)
        order.append(dict(scope["headers"])[b"content-length"].decode())

    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for _ in range(50):
            writer.write(request(SHORT))
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(64)
        return b""

    async def both() -> None:
        many = LONG * 40
        await talk(noting, sending(request(many, close=True)), patient)
        assert order[-1] == str(len(many)), "the short ones had to wait for the long one"

    uvloop.run(both())


def test_a_body_in_chunks_is_parsed(read_on: list[int]) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    (got,) = uvloop.run(talk(digesting, sending(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LONG), LONG))))
    assert digests(got) == [sha256(LONG)]
    assert read_on == []
