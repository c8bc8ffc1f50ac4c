"""How answers are written to a connection: the head together with the first of the body, and alone where nothing follows."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from fileferry.web.zerocopy import SendingCycle

TEN = [(b"content-length", b"10")]


class Transport:
    """Remembers what was written, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.writes.append(data)

    def close(self) -> None:
        self.is_closed = True


def start(status: int = 200, headers: Any = TEN) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def written(*messages: Any, method: str = "GET", keep_alive: bool = True) -> Transport:
    """Return what an application's messages come to; an exception among them is raised by it."""
    transport = Transport()

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            await send(message)

    async def run() -> None:
        cycle = SendingCycle(
            scope={"method": method, "http_version": "1.1"},  # type: ignore[typeddict-item]
            transport=cast(asyncio.Transport, transport),
            flow=FlowControl(cast(asyncio.Transport, transport)),
            logger=logging.getLogger("of this test"),
            access_logger=logging.getLogger("of this test"),
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=lambda: None,
        )
        await cycle.run_asgi(cast(Any, application))

    asyncio.run(run())
    return transport


def test_a_head_and_its_body_are_one_write() -> None:
    (whole,) = written(start(), body(b"0123456789")).writes
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\n0123456789")


def test_what_follows_later_is_written_as_it_comes() -> None:
    first, second = written(start(), body(b"01234", more=True), body(b"56789")).writes
    assert first.endswith(b"\r\n\r\n01234")
    assert second == b"56789"


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_head_alone_is_written_before_the_connection_closes(keep_alive: bool) -> None:
    transport = written(start(), body(b""), method="HEAD", keep_alive=keep_alive)
    assert b"".join(transport.writes).endswith(b"\r\n\r\n")
    assert transport.is_closed is not keep_alive


def test_a_head_of_a_body_without_an_end_is_not_held() -> None:
    writes = written(start(headers=[]), body(b"event", more=True), body(b"")).writes
    assert writes[0].endswith(b"transfer-encoding: chunked\r\n\r\n")


def test_a_failure_before_the_body_is_an_error_and_not_half_an_answer() -> None:
    whole = b"".join(written(start(), RuntimeError("of this test")).writes)
    assert whole.startswith(b"HTTP/1.1 500 ")
    assert whole.count(b"HTTP/1.1") == 1
