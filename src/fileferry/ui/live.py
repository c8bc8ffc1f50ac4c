"""Telling a page that is open that something has changed, so that it asks for itself anew. What has changed is not told here."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from litestar import get
from litestar.types import ASGIApp

from fileferry.engine.engine import Engine
from fileferry.engine.events.outbox import Position, Wanted
from fileferry.errors import FerryError
from fileferry.telemetry import Message, Receive, Send
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest
from fileferry.web.waiting import ringing_at_departure

_HEARTBEAT = 15.0
_LONGEST_SEND = 30.0
_BEGINNING = b"retry: 3000\n\n: following\n\n"
_CHANGE = b"event: change\ndata: {}\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


@get("/live")
async def follow(request: AnyRequest, engine: Engine, visitor: Visitor) -> ASGIApp:
    """Follow what happens to one file, or to any that this session may see."""
    file_id = request.query_params.get("file")
    engine.events.authorize(visitor.principal)
    position, _is_reset = await engine.events.resume(visitor.principal, None)
    return cast(ASGIApp, _Changes(engine, visitor, Wanted(None, file_id), position))


class _Changes:
    def __init__(self, engine: Engine, visitor: Visitor, wanted: Wanted, position: Position) -> None:
        self._engine = engine
        self._visitor = visitor
        self._wanted = wanted
        self._position = position

    async def __call__(self, _scope: Any, receive: Receive, send: Send) -> None:
        """Send that something changed whenever it has, until either side ends or the session does."""
        start: Message = {"type": "http.response.start", "status": 200, "headers": _HEADERS}
        await send(start)
        async with self._engine.events.listening(self._visitor.principal.organization.id) as bell:
            with ringing_at_departure(receive, bell) as gone, suppress(TimeoutError, FerryError):
                await self._send(send, _BEGINNING)
                while not gone.done() and not self._engine.events.is_closed:
                    bell.clear()
                    await self._tell(send, bell)
        with suppress(Exception):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send, bell: asyncio.Event) -> None:
        visit = await self._engine.sessions.look(self._visitor.token)
        found = await self._engine.events.after(visit.principal, self._position, self._wanted)
        self._position = found.position
        if found.events:
            await self._send(send, _CHANGE)
        elif found.is_whole:
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    await bell.wait()
            except TimeoutError:
                await self._send(send, b": still here\n\n")

    async def _send(self, send: Send, text: bytes) -> None:
        async with asyncio.timeout(_LONGEST_SEND):
            await send({"type": "http.response.body", "body": text, "more_body": True})


handlers = [follow]
