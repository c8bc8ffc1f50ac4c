"""A stream of events against clients that a socket cannot play in time: one that is told nothing, one that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fileferry.api import events
from fileferry.api.events import EventStream
from fileferry.app import opened
from fileferry.engine.events import Wanted
from fileferry.settings import Settings
from unit.service import ROOT_KEY, Service


def stream(service: Service, send: Callable[[Any], Awaitable[None]], gone: Callable[[], bool]) -> None:
    """Run a stream of all events until it ends, or its client has ``gone``."""

    async def receive() -> Any:
        while not gone():
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def run() -> None:
        settings: Settings = service.settings
        async with opened(settings, service.clock) as engine:
            principal = await engine.keys.authenticate(ROOT_KEY, None)
            await EventStream(engine, principal, Wanted(), 0, False)({}, receive, send)

    asyncio.run(run())


def test_a_stream_without_events_shows_that_it_lives(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    stream(service, send, lambda: len(sent) > 5)
    assert sent.count(b": still here\n\n") >= 3


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
