"""How many connections a process holds, which one makes room for another, and what is answered when none can.

What happens on a connection is the business of ``connections``.
"""

from __future__ import annotations

import enum
import functools
import resource
from collections import OrderedDict
from datetime import timedelta
from typing import Protocol

from fileferry import settings as configuration
from fileferry.errors import FerryError, Unavailable
from fileferry.model import utc_now
from fileferry.settings import Settings, SettingsError
from fileferry.telemetry import CUT, Application, Message, Receive, Send, Telemetry
from fileferry.web import problems, tus
from fileferry.web.dates import Dated
from fileferry.web.lingering import Lingering

RESERVE = 32
"""Connections beyond the most, which are there for health and administration only."""
_FILES_FOR_OTHERS = 128  # database, threads at the store, scanners, webhooks, Redis, logs
_FILES_OF_A_CONNECTION = 2  # its socket, and the blob that it reads or writes
_MOST_BY_DEFAULT = 10_000
_RETRY_AFTER = 1.0  # seconds
_LINGERING = 5.0  # seconds: places of the reserve are few
_PROBES = ("/healthz", "/readyz", "/metrics")
_KEYS = "/api/keys"


class Place(enum.Enum):
    """Where a new connection finds itself."""

    USUAL = enum.auto()
    """There is room, or the connection that was idle for longest has made some."""
    RESERVED = enum.auto()
    """All others are at work: this one may ask for health and administer, nothing else."""
    NONE = enum.auto()
    """Even the reserve is at work."""


class Idle(Protocol):
    """A connection on which no request is under way."""

    def make_room(self) -> None:
        """Close at once."""


class Admission:
    """The connections of one process: how many there may be, and which of them are idle, longest first."""

    def __init__(self, settings: Settings, files: int) -> None:
        self.settings = settings
        self.most = most_connections(settings, files)
        self._idle: OrderedDict[Idle, None] = OrderedDict()

    def place(self, present: int) -> Place:
        """Say where the last of ``present`` connections is; closes the one that was idle for longest where all places are taken."""
        if present <= self.most:
            return Place.USUAL
        if self._idle:
            longest, _ = self._idle.popitem(last=False)
            CUT.labels("made_room").inc()
            longest.make_room()
            return Place.USUAL
        return Place.RESERVED if present <= self.most + RESERVE else Place.NONE

    def is_idle(self, connection: Idle) -> None:
        """Note that a connection has nothing to do from now on."""
        self._idle[connection] = None

    def is_at_work(self, connection: Idle) -> None:
        """Note that a connection has a request to answer, or is gone."""
        self._idle.pop(connection, None)


@functools.cache
def of_process(_server: object) -> Admission:
    """Return the admission of a running server, which is one for each process."""
    return Admission(configuration.load(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def most_connections(settings: Settings, files: int) -> int:
    """Return how many connections a process that may have ``files`` open files holds, besides the reserve; at least one."""
    possible = _MOST_BY_DEFAULT
    if files != resource.RLIM_INFINITY:
        possible = max(1, (files - _FILES_FOR_OTHERS) // _FILES_OF_A_CONNECTION - RESERVE)
    return min(possible, settings.max_connections or _MOST_BY_DEFAULT)


def raise_file_limit() -> None:
    """Let this process, and those that it starts, open as many files as the system lets it (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def check(settings: Settings) -> None:
    """Raise SettingsError for a bound that nothing can keep."""
    for name in ("max_request_head", "max_request_headers", "max_connections"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise SettingsError(f"FILEFERRY_{name.upper()}: must be at least 1")
    for name in ("request_head_timeout", "answer_idle_timeout"):
        if getattr(settings, name) <= timedelta():
            raise SettingsError(f"FILEFERRY_{name.upper()}: must be more than 0")


def busy() -> FerryError:
    """Return the error that says that there is no room for a connection."""
    return Unavailable("The server has as many connections as it can hold; repeat shortly.", retry_after=_RETRY_AFTER)


def reserved(application: Application) -> Application:
    """Return the application for connections of the reserve: it answers probes, and what frees or protects something, as always."""
    refusing = Telemetry(Dated(Lingering(_refuse, _LINGERING), utc_now))

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        chosen = application if _may_use_reserve(scope) else refusing
        await chosen(scope, receive, send)

    return answer


def _may_use_reserve(scope: Message) -> bool:
    path: str = scope["path"]
    return path in _PROBES or path == _KEYS or path.startswith(f"{_KEYS}/") or scope["method"] == "DELETE"


async def _refuse(scope: Message, _receive: Receive, send: Send) -> None:
    CUT.labels("full").inc()
    error = busy()
    is_tus = any(name == b"tus-resumable" for name, _value in scope["headers"])
    status = tus.status_of(scope["method"], error) if is_tus else error.status
    headers = [(name.lower().encode(), value.encode()) for name, value in problems.fields_of(error).items()]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": problems.document(error, status), "more_body": False})
