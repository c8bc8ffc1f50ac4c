"""What comes after a refusal is read as long as the client gets on with it: proxies that send all of it first see the refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fileferry.web import lingering
from fileferry.web.lingering import Lingering

PIECE = bytes(256 * 1024)


async def refuse(_scope: Any, receive: Any, send: Any) -> None:
    """Look at the beginning of a body, and refuse it."""
    await receive()
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b"no", "more_body": False})


def answered(body: AsyncIterator[bytes], most_seconds: float = 60) -> list[Any]:
    """Return what a client is told that sends this body, without an end."""
    told: list[Any] = []

    async def receive() -> Any:
        async for piece in body:
            return {"type": "http.request", "body": piece, "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(asyncio.wait_for(Lingering(refuse, most_seconds)(scope, receive, send), 10))
    return told


@pytest.fixture(autouse=True)
def _short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "_STRETCH", 0.2)


def test_all_of_a_body_that_keeps_coming_is_read() -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(256):  # 64 MiB
            sent += 1
            yield PIECE

    told = answered(body())
    assert sent == 256
    assert [message.get("more_body") for message in told] == [None, True, False]
    assert (b"connection", b"close") in told[0]["headers"]


def test_a_client_that_hardly_sends_is_left() -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    assert answered(body())[-1]["more_body"] is False


def test_a_client_that_sends_without_an_end_is_left() -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield PIECE
            await asyncio.sleep(0)

    assert answered(body(), 0.2)[-1]["more_body"] is False
