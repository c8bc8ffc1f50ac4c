"""A stream of events against clients that a socket cannot play in time: one that is told nothing, one that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from fileferry.api.native import events
from fileferry.api.native.events import EventStream
from fileferry.engine.events import outbox
from fileferry.engine.events.outbox import Position, Wanted
from unit.service import ROOT_KEY, Service

ALL = Wanted()


def stream(
    service: Service, send: Callable[[Any], Awaitable[None]], gone: Callable[[], bool], wanted: Wanted = ALL
) -> None:
    """Run a stream of all events, or of those ``wanted``, until it ends, or its client has ``gone``."""

    async def receive() -> Any:
        while not gone():
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def run() -> None:
        engine = service._engine
        principal = await engine.keys.authenticate(ROOT_KEY, None)
        await EventStream(engine, principal, wanted, Position(0), False)({}, receive, send)

    service._run(run())


def test_a_stream_without_events_shows_that_it_lives(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    stream(service, send, lambda: len(sent) > 5)
    assert sent.count(b": still here\nid: 0\n\n") >= 3


def test_a_stream_shows_that_it_lives_however_much_happens_that_it_does_not_tell(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.2)
    monkeypatch.setattr(outbox, "POLL", timedelta(milliseconds=5))
    file = service.upload(path="quiet")
    seen: list[int] = []

    async def happen() -> None:
        for number in range(2000):
            if len(set(seen)) > 2:
                return
            await service.ask("PUT", "/api/upload/busy", content=str(number).encode())

    async def send(message: Any) -> None:
        told = message.get("body", b"")
        if told.startswith(b": still here\n"):
            seen.append(int(told.split(b"id: ")[1]))

    busy = service._loop.create_task(happen())
    stream(service, send, busy.done, Wanted(None, file["id"]))
    assert len(set(seen)) > 2, "who is cut goes on from here"
    assert seen == sorted(seen)


def test_a_client_that_does_not_read_is_cut(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LONGEST_SEND", 0.05)
    service.upload()
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if b"file.ready" in sent[-1]:
            await asyncio.Event().wait()

    stream(service, send, lambda: False)
    assert b"file.ready" in sent[-1]
