"""Answers in pieces: nothing more is read, and nothing counted, once the client has gone, however little of that is known yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from fileferry.api.answers import Answer
from fileferry.blobs.store import FileSlice
from fileferry.web import zerocopy

Piece = bytes | FileSlice


def pieces_read(pieces: list[Piece], leave: Callable[[dict[str, Any], asyncio.Event], None]) -> list[int]:
    """Send ``pieces`` to a client that goes as ``leave`` says; return which of them were asked for, and -1 for all being sent."""
    read: list[int] = []

    async def run() -> None:
        gone = asyncio.Event()

        async def body() -> AsyncGenerator[Piece]:
            for number, piece in enumerate(pieces):
                read.append(number)
                yield piece

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            leave(message, gone)

        await Answer(200, {"Content-Length": "30"}, body(), lambda: read.append(-1))({}, receive, send)

    asyncio.run(run())
    return read


def goes_with_bytes(message: dict[str, Any], gone: asyncio.Event) -> None:
    if message["type"] == "http.response.body":
        gone.set()  # the server knows, and whoever waits for it will at the next turn of the loop


def had_gone(message: dict[str, Any], _gone: asyncio.Event) -> None:
    message |= {"count": 0} if message["type"] == zerocopy.TYPE else {"body": b""}  # as the server does


def takes_less(message: dict[str, Any], _gone: asyncio.Event) -> None:
    if message["type"] == zerocopy.TYPE:
        message["count"] -= 1


def stays(_message: dict[str, Any], _gone: asyncio.Event) -> None:
    return


@pytest.mark.parametrize(("leave", "read"), [(goes_with_bytes, [0]), (stays, [0, 1, 2, -1])])
def test_bytes_for_nobody_are_not_read(leave: Any, read: list[int]) -> None:
    assert pieces_read([bytes(10)] * 3, leave) == read


@pytest.mark.parametrize(("leave", "read"), [(takes_less, [0]), (had_gone, [0]), (stays, [0, 1, 2, -1])])
def test_a_slice_that_was_not_taken_whole_is_the_last(tmp_path: Path, leave: Any, read: list[int]) -> None:
    content = tmp_path / "content"
    content.write_bytes(bytes(10))
    with content.open("rb", buffering=0) as file:
        assert pieces_read([FileSlice(file, 0, 10)] * 3, leave) == read


def test_who_goes_with_the_last_slice_has_all_of_it(tmp_path: Path) -> None:
    taken = 0

    def goes_once_whole(message: dict[str, Any], gone: asyncio.Event) -> None:
        nonlocal taken
        taken += message.get("count", 0)
        if taken == 30:
            gone.set()

    content = tmp_path / "content"
    content.write_bytes(bytes(10))
    with content.open("rb", buffering=0) as file:
        assert pieces_read([FileSlice(file, 0, 10)] * 3, goes_once_whole) == [0, 1, 2, -1]


@pytest.mark.parametrize(("leave", "read"), [(had_gone, [0]), (stays, [0, -1])])
def test_a_whole_for_nobody_is_not_told(leave: Any, read: list[int]) -> None:
    assert pieces_read([bytes(30)], leave) == read
