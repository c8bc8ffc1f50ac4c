"""Listening to the outbox: one tail per process reads it while somebody listens, whichever process wrote to it.

It wakes who waits for a file or an organization; what they want to know they read themselves. Webhooks have their own way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import msgspec
from sqlalchemy import Connection

from fileferry.db import events, files
from fileferry.db.database import Database
from fileferry.db.reach import is_in_tree
from fileferry.engine.access import policy
from fileferry.engine.access.links import Links
from fileferry.engine.events import addresses
from fileferry.errors import InvalidParameter
from fileferry.logs import get_logger
from fileferry.model import EVENT_TYPES, Clock, Event, Principal, Scope
from fileferry.settings import Settings

POLL = timedelta(milliseconds=100)
"""How often the outbox is looked at while somebody listens."""
_BATCH = 500
_STRETCHES = 20  # of so many events, that one page may look through
_REMEMBERED = 2000  # events in memory, for all who listen together; who is further behind reads the database
_log = get_logger(__name__)


class Wanted(msgspec.Struct, frozen=True):
    """Which events to be told: of some types and of one file, where they are given."""

    types: tuple[str, ...] | None = None
    file_id: str | None = None


class Position(msgspec.Struct, frozen=True):
    """How far an organization's events are known: up to ``number``, with which to go on in another stream.

    They are all of its events up to the id ``seen`` in the outbox of all organizations, which is told to nobody.
    """

    number: int
    seen: int = 0


class Stretch(msgspec.Struct, frozen=True):
    """What there is to be told, in order, among all events up to ``position``; ``is_whole`` when there were no more."""

    events: list[Event]
    position: Position
    is_whole: bool


class Events:
    """What happened to the files of all organizations, for those who want to know it soon."""

    def __init__(self, database: Database, minter: Links, _settings: Settings, clock: Clock) -> None:
        self._database = database
        self._minter = minter
        self._clock = clock
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._tail: asyncio.Task[None] | None = None
        self._told = database.bell()
        self._recent: deque[Event] = deque(maxlen=_REMEMBERED)
        self._floor = 0  # every event after this one, up to the position, is remembered
        self._position = 0
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the process is ending, and waiting is over."""
        return self._is_closed

    @asynccontextmanager
    async def listening(self, subject: str) -> AsyncIterator[asyncio.Event]:
        """Give a bell that rings at each event of a file or of an organization, by its id, from now on; and at the end.

        Whoever clears it must look at what it waits for afterwards, and before it waits.
        """
        bell = asyncio.Event()
        self._bells.setdefault(subject, set()).add(bell)
        try:
            await self._begin()
            yield bell
        finally:
            self._bells[subject].discard(bell)
            if not self._bells[subject]:
                del self._bells[subject]

    def told(self, event: Event, base_url: str) -> dict[str, object]:
        """Return what is told of an event's file; ``base_url`` is the address of this service."""
        return addresses.told(event, self._minter, base_url)

    def authorize(self, principal: Principal) -> None:
        """Raise Forbidden unless the principal may follow events."""
        policy.authorize(principal, Scope.READ)

    async def resume(self, principal: Principal, after: int | None) -> tuple[Position, bool]:
        """Return where to go on after the number ``after``, or after all there is, and whether events since then may be gone.

        Then it is where the oldest begin that are kept.
        """
        forgotten, newest = await self._database.lookup(events.bounds, principal.organization.id)
        if after is None:
            return Position(newest), False
        is_known = forgotten <= after <= newest
        return (Position(after), False) if is_known else (Position(forgotten), True)

    async def page(self, principal: Principal, after: Position, wanted: Wanted, size: int) -> Stretch:
        """Return at most ``size`` of the events past ``after`` that the principal may know of, those of a bounded stretch.

        It may be empty though there is more to look through, which ``is_whole`` tells. Raises Forbidden.
        """
        found = Stretch([], after, is_whole=False)
        for _ in range(_STRETCHES):
            found = await self.after(principal, found.position, wanted, max(size, _BATCH))
            if len(found.events) > size:
                told = found.events[:size]
                return Stretch(told, _position_of(told[-1]), is_whole=False)
            if found.events or found.is_whole:
                return found
        return found

    async def after(self, principal: Principal, after: Position, wanted: Wanted, limit: int = _BATCH) -> Stretch:
        """Return what the principal may know of the events past ``after``, among the next ``limit``; raises Forbidden."""
        self.authorize(principal)
        organization_id = principal.organization.id
        if self._tail is not None and self._floor <= after.seen:
            found = [event for event in self._recent if _is_new(event, organization_id, after)]
            number = found[-1].number if found else after.number
            position = Position(number, max(self._position, after.seen))
        else:
            found, position = await self._database.read(_read, after, limit, organization_id, wanted)
        if len(found) > limit:
            found, position = found[:limit], _position_of(found[limit - 1])
        told = [event for event in found if _is_wanted(event, wanted)]
        return Stretch(await self._seen(told, principal), position, is_whole=len(found) < limit)

    def end(self) -> None:
        """Send everybody home who listens; those who come later need not wait either."""
        self._is_closed = True
        for bells in self._bells.values():
            for bell in bells:
                bell.set()

    async def close(self) -> None:
        """End, and let go of the tail."""
        self.end()
        if self._tail is not None:
            self._tail.cancel()
            with suppress(asyncio.CancelledError):
                await self._tail

    async def _seen(self, told: list[Event], principal: Principal) -> list[Event]:
        """Return the events of files that the principal could see then, as far as they were where they are now."""
        reach = policy.reach(principal)
        if reach.end_user is not None:
            told = [event for event in told if event.data["end_user"] == reach.end_user]
        if reach.folder is None or not told:
            return told
        told = [event for event in told if reach.has_path(event.data["path"])]
        in_tree = await self._database.read(_in_tree, {event.file_id for event in told})
        return [event for event in told if event.file_id in in_tree]

    async def _begin(self) -> None:
        """See to it that there is a tail; what happens after this is noticed."""
        if self._tail is not None:
            return
        position = await self._database.lookup(events.last_id)
        if self._tail is None:  # nobody else has begun meanwhile
            self._floor = self._position = position
            self._tail = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        try:
            while self._bells and not self._is_closed:
                fresh = await self._read_on()
                await self._told.wait(0 if len(fresh) == _BATCH else POLL.total_seconds())
        finally:
            self._tail = None
            self._recent.clear()

    async def _read_on(self) -> Sequence[Event]:
        try:
            fresh = await self._database.lookup(events.list_following, self._position, _BATCH)
        except Exception:
            _log.exception("listening_failed")
            return ()
        for event in fresh:
            if len(self._recent) == _REMEMBERED:
                self._floor = self._recent[0].id
            self._recent.append(event)
            self._position = event.id
            for subject in (event.file_id, event.organization_id):
                for bell in self._bells.get(subject, ()):
                    bell.set()
        return fresh


def check_types(types: Sequence[str]) -> tuple[str, ...]:
    """Return types of events as they were given; raises InvalidParameter for one that there is not."""
    if not types or not set(types) <= set(EVENT_TYPES):
        raise InvalidParameter(f"types must be some of {', '.join(EVENT_TYPES)}.", parameter="types")
    return tuple(types)


def _read(
    conn: Connection, after: Position, limit: int, organization_id: str, wanted: Wanted
) -> tuple[list[Event], Position]:
    seen = events.last_id(conn)
    _forgotten, newest = events.bounds(conn, organization_id)
    found = events.list_after(conn, organization_id, after.number, limit, wanted.types or EVENT_TYPES, wanted.file_id)
    return found, _position_of(found[-1]) if len(found) == limit else Position(newest, seen)


def _position_of(event: Event) -> Position:
    return Position(event.number, event.id)


def _is_new(event: Event, organization_id: str, after: Position) -> bool:
    return event.organization_id == organization_id and event.number > after.number


def _is_wanted(event: Event, wanted: Wanted) -> bool:
    return event.type in (wanted.types or EVENT_TYPES) and wanted.file_id in (None, event.file_id)


def _in_tree(conn: Connection, file_ids: set[str]) -> set[str]:
    """Return which of the files have a place in the tree of paths; the name of any other only looks like one."""
    found = [files.find_file(conn, id) for id in file_ids]
    return {file.id for file in found if file is not None and is_in_tree(file)}
