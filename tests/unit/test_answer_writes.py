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


@pytest.mark.parametrize(
    "field",
    [
        (b"x-name", b"a\r\nset-cookie: b"),
        (b"x-name", b"a\nb"),
        (b"x-name", b"a\0"),
        (b"x name", b"a"),
        (b"x-name\r\n", b"a"),
        (b"x:name", b"a"),
    ],
)
def test_a_field_that_would_be_read_as_something_else_is_never_sent(field: tuple[bytes, bytes]) -> None:
    transport = written(start(headers=[*TEN, field]), body(b"0123456789"))
    assert b"".join(transport.writes).startswith(b"HTTP/1.1 500 ")
    assert not any(name in whole for whole in transport.writes for name in (b"set-cookie", b"x-name", b"x:name"))


def test_fields_are_written_as_they_are_in_lower_case_and_in_their_order() -> None:
    fields = [(b"X-One", b"\xe9 \tsaid"), *TEN, (b"x-one", b""), (b"Connection", b"keep-alive")]
    (whole,) = written(start(headers=fields), body(b"0123456789")).writes
    head = b"x-one: \xe9 \tsaid\r\ncontent-length: 10\r\nx-one: \r\nconnection: keep-alive\r\n\r\n"
    assert whole == b"HTTP/1.1 200 OK\r\n" + head + b"0123456789"


@pytest.mark.parametrize("said", [b"close", b"Close", b"upgrade, close"])
def test_an_answer_that_says_so_is_the_last_of_its_connection(said: bytes) -> None:
    transport = written(start(headers=[*TEN, (b"connection", said)]), body(b"0123456789"))
    assert transport.is_closed
    assert transport.writes[0].count(b"connection: ") == 1


def test_the_last_answer_of_a_connection_says_so() -> None:
    transport = written(start(), body(b"0123456789"), keep_alive=False)
    assert transport.is_closed
    assert b"\r\nconnection: close\r\n" in transport.writes[0]


@pytest.mark.parametrize("given", [b"012345678", b"0123456789a"])
def test_a_body_of_another_length_than_was_told_ends_the_connection(given: bytes) -> None:
    transport = written(start(), body(given))
    assert transport.is_closed
    assert len(b"".join(transport.writes).partition(b"\r\n\r\n")[2]) < 10
