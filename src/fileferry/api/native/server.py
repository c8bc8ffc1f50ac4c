"""``GET /api/server``: how the server stands, for a root key: where it keeps files, what does not work, which processes live."""

from __future__ import annotations

from importlib.metadata import version
from urllib.parse import urlsplit

import msgspec
from litestar import Router, get

from fileferry.engine.access import policy
from fileferry.engine.engine import Engine
from fileferry.engine.files.processes import is_silent
from fileferry.model import Principal, format_time


class DiskObject(msgspec.Struct):
    """A folder that this process writes to, and how many bytes are free on its disk."""

    folder: str
    free: int


class ProcessObject(msgspec.Struct, kw_only=True):
    """A ``serve`` or a ``worker`` as it told of itself; ``is_silent`` where it was killed or cut off, ``is_own`` who answers."""

    id: str
    role: str
    host: str
    pid: int
    version: str
    started_at: str
    last_seen_at: str
    is_silent: bool
    is_own: bool


class TaskObject(msgspec.Struct):
    """What one process does for all, ``until`` then unless it goes on."""

    name: str
    process_id: str
    until: str


class ObservationObject(msgspec.Struct):
    """One thing that was tried on a bucket: what came, and what follows."""

    name: str
    tried: str
    came: str
    follows: str
    is_fine: bool


class BucketObject(msgspec.Struct, kw_only=True):
    """What the process that answers found of its bucket when it started.

    ``is_sound`` is whether files can be kept there safely, ``uploads`` and ``downloads`` whether clients are sent there.
    """

    is_sound: bool
    uploads: bool
    downloads: bool
    reasons: list[str]
    observations: list[ObservationObject]


class ServerObject(msgspec.Struct, kw_only=True):
    """How the server stands. ``shortcomings`` are the reasons of ``/readyz``; ``bucket`` is null where none was tried."""

    version: str
    database: str
    store: str
    is_scanning: bool
    shortcomings: list[str]
    disks: list[DiskObject]
    processes: list[ProcessObject]
    tasks: list[TaskObject]
    bucket: BucketObject | None


@get("/server")
async def show_server(engine: Engine, principal: Principal) -> ServerObject:
    """Tell where files are kept, what is free, what does not work, and which processes live; needs the root key."""
    policy.authorize_root(principal)
    now, settings = engine.clock(), engine.settings
    return ServerObject(
        version=version("fileferry"),
        database="postgresql" if settings.resolved_database_file() is None else "sqlite",
        store="disk" if settings.resolved_store_folder() is not None else _address(settings.store or ""),
        is_scanning=settings.clamd is not None,
        shortcomings=await engine.shortcomings(),
        disks=[DiskObject(folder, free) for folder, free in engine.free_space()],
        processes=[
            ProcessObject(
                id=one.id,
                role=one.role,
                host=one.host,
                pid=one.pid,
                version=one.version,
                started_at=format_time(one.started_at),
                last_seen_at=format_time(one.seen_at),
                is_silent=is_silent(one, now),
                is_own=one.id == engine.processes.own,
            )
            for one in await engine.processes.list()
        ],
        tasks=[TaskObject(name, holder, format_time(until)) for name, holder, until in await engine.leases()],
        bucket=_bucket(engine),
    )


def _address(store: str) -> str:
    """Return a bucket without what its address says of how to reach it."""
    parts = urlsplit(store)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _bucket(engine: Engine) -> BucketObject | None:
    report = engine.store_report
    if report is None:
        return None
    return BucketObject(
        is_sound=report.is_sound,
        uploads=report.uploads,
        downloads=report.downloads,
        reasons=report.reasons,
        observations=[
            ObservationObject(seen.name, seen.tried, seen.came, seen.follows, seen.is_fine)
            for seen in report.observations
        ],
    )


router = Router("/api", route_handlers=[show_server])
