"""``/api/events``: what happens to an organization's files, as server-sent events that go on where they were cut, or as pages."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any, cast

import msgspec
from litestar import Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter, QueryParameter
from litestar.types import ASGIApp

from fileferry.engine.engine import Engine
from fileferry.engine.events.outbox import Position, Wanted, check_types
from fileferry.errors import FerryError, InvalidParameter
from fileferry.model import Event, Principal, canonical_id, format_time
from fileferry.telemetry import Message, Receive, Send
from fileferry.web.requests import AnyRequest, Limit, base_url, parse_limit, whole_number
from fileferry.web.waiting import ringing_at_departure, settled

HEARTBEAT = 15.0
"""Seconds without an event after which a comment shows that the stream lives."""
RETRY = 2000
"""Milliseconds after which a client that was cut should come back."""
_LONGEST_SEND = 30.0  # seconds that a client may take to make room for more
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

After = Annotated[str | None, Parameter(description="Go on after the event of this id; 0 begins with the oldest kept.")]
Types = Annotated[str | None, Parameter(description="Only events of these types, as file.ready,file.rejected.")]
FileId = Annotated[str | None, QueryParameter(name="file", description="Only events of this file, by its id.")]


class EventObject(msgspec.Struct):
    """Something that happened to a file. ``id`` counts those of the organization; ``data`` is the file as it was, and its URL."""

    id: str
    type: str
    timestamp: str
    organization_id: str
    data: dict[str, Any]


class EventPage(msgspec.Struct):
    """Events in order; ``next_cursor`` is the ``after`` to go on with, and ``reset`` whether events before these are gone.

    ``more`` is whether to go on at once: a page looks through a bounded number of events, and may find none to tell among them.
    """

    events: list[EventObject]
    next_cursor: str
    reset: bool
    more: bool


_PAGE = ResponseSpec(
    data_container=EventPage, description="A page, for Accept: application/json", generate_examples=False
)


@get("/events", responses={200: _PAGE})
async def follow(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    after: After = None,
    types: Types = None,
    file_id: FileId = None,
    limit: Limit = None,
) -> ASGIApp:
    """Follow what happens to the files of the organization: new events as they come, those after ``after``, or a page of them.

    A stream goes on after ``Last-Event-ID``. With ``Accept: application/json`` it is one page, which waits for the first event
    where the request prefers to (``Prefer: wait=30``).
    """
    file_id = None if file_id is None else canonical_id(file_id)
    wanted = Wanted(None if types is None else check_types(types.split(",")), file_id)
    known = _known_number(request.headers.get("last-event-id") or after)
    is_page = request.headers.get("accept", "").split(";")[0].strip() == "application/json"
    size = parse_limit(limit)
    engine.events.authorize(principal)
    position, is_reset = await engine.events.resume(principal, known)
    address = base_url(request, engine)
    if not is_page:
        return cast(ASGIApp, EventStream(engine, principal, wanted, position, is_reset, address))

    async def read() -> tuple[EventPage, str | None]:
        nonlocal position
        found = await engine.events.page(principal, position, wanted, size)
        position = found.position  # who waits need not look through the same again
        events = [_event_object(engine, event, address) for event in found.events]
        page = EventPage(events, str(position.number), is_reset, not found.is_whole)
        return page, None if page.events or page.more else principal.organization.id

    page = await settled(request, engine, read)
    return Response(page, headers=_HEADERS).to_asgi_response(app=None, request=request)


class EventStream:
    """An ASGI application: events from ``position`` on, in the text format of server-sent events, until either side ends."""

    def __init__(
        self,
        engine: Engine,
        principal: Principal,
        wanted: Wanted,
        position: Position,
        is_reset: bool,
        address: str,
    ) -> None:
        self._engine = engine
        self._principal = principal
        self._wanted = wanted
        self._position = position
        self._address = address
        self._beat_at = 0.0
        # Without data it is no event, but a client that is cut before the first one goes on from here.
        self._beginning = f"retry: {RETRY}\nid: {position.number}\n\n" + (_reset(position.number) if is_reset else "")

    async def __call__(self, _scope: Message, receive: Receive, send: Send) -> None:
        """Send what there is and what comes. A client that does not read is cut; whatever it missed it gets when it is back."""
        listened = self._principal.organization.id
        async with self._engine.events.listening(listened) as bell:
            with ringing_at_departure(receive, bell) as gone:
                try:
                    await self._begin(send)
                    while not gone.done() and not self._engine.events.is_closed:
                        bell.clear()
                        await self._send(send, await self._next(bell))
                except TimeoutError:
                    return  # it does not read, and will not read an end either
                except FerryError:
                    pass  # it may not any more, or nothing can be read: let it come back
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send) -> None:
        headers = {"Content-Type": "text/event-stream", **_HEADERS}
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await self._send(send, self._beginning)

    async def _next(self, bell: asyncio.Event) -> str:
        """Return events that the client does not know, or wait for some; a comment where none came for long."""
        self._principal = await self._engine.keys.renew(self._principal)
        found = await self._engine.events.after(self._principal, self._position, self._wanted)
        self._position = found.position
        if found.events:
            return "".join(self._text(event) for event in found.events)
        if asyncio.get_running_loop().time() >= self._beat_at:
            return f": still here\nid: {self._position.number}\n\n"
        if found.is_whole:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._beat_at):
                    await bell.wait()
        return ""

    def _text(self, event: Event) -> str:
        data = msgspec.json.encode(_event_object(self._engine, event, self._address)).decode()
        return f"id: {event.number}\nevent: {event.type}\ndata: {data}\n\n"

    async def _send(self, send: Send, text: str) -> None:
        if text:
            self._beat_at = asyncio.get_running_loop().time() + HEARTBEAT
            async with asyncio.timeout(_LONGEST_SEND):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


router = Router("/api", route_handlers=[follow])


def _event_object(engine: Engine, event: Event, address: str) -> EventObject:
    data = engine.events.told(event, address)
    return EventObject(str(event.number), event.type, format_time(event.created_at), event.organization_id, data)


def _reset(number: int) -> str:
    """Return the event that says that events up to that ``number`` may be gone."""
    return f'id: {number}\nevent: reset\ndata: {{"id":"{number}","type":"reset"}}\n\n'


def _known_number(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    number = whole_number(text)
    if number is None:
        raise InvalidParameter("The id of an event is a decimal number.", parameter="after")
    return number
