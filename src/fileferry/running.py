"""The service as processes: serving, working beside servers, and looking after a folder. What they are made of is in ``app``."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from fileferry import bootstrap, memory
from fileferry import settings as configuration
from fileferry.app import at_work, examine, opened, prepare
from fileferry.app import check as check
from fileferry.blobs import opening
from fileferry.db.opening import holders_of, need_driver
from fileferry.engine.files.moving import Mover, Moving
from fileferry.engine.files.sweeper import Findings
from fileferry.errors import Unavailable
from fileferry.logs import get_logger
from fileferry.model import new_id, utc_now
from fileferry.settings import Settings, SettingsError
from fileferry.telemetry import configure_logging, shared_metrics
from fileferry.web import admission
from fileferry.web.connections import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from fileferry.backups import Record
    from fileferry.blobs.direct import Report
    from fileferry.db.copying import Copied

_VERIFIED = "verified.json"
_MOVED = "moved.json"
_WRITTEN_EVERY = 5.0  # seconds
_NOT_STARTED = 3  # as of uvicorn
_log = get_logger(__name__)


def serve(listener: socket.socket, workers: int) -> None:
    """Prepare the database, then serve until SIGTERM or SIGINT; running transfers may finish within ``shutdown_grace``.

    ``listener`` is what ``bound`` returns.
    """
    memory.keep_compact()  # before any thread has a heap of its own
    settings = configuration.load()
    configure_logging(settings)
    if workers > 1:
        settings = _shared(settings)
    wanted = bootstrap.read(settings)
    _tell_of_disks(settings)
    admission.raise_file_limit()
    made = asyncio.run(prepare(settings))
    if made is not None:
        print(f"Root key, shown this once: {made}", flush=True)
    asyncio.run(_make_so(settings, wanted))
    with shared_metrics() if workers > 1 else contextlib.nullcontext():
        _run(_configuration(settings, workers), listener)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket with this address, on which nothing listens yet; raises SettingsError for one that cannot be had.

    A used port is found so before a key is made and shown.
    """
    listener = None
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error
    listener.set_inheritable(True)
    return listener


def _configuration(settings: Settings, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        "fileferry.app:create_served_app",
        factory=True,
        workers=workers,
        loop="uvloop",
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=int(settings.shutdown_grace.total_seconds()),
        timeout_worker_healthcheck=10,
    )


def _run(configuration: uvicorn.Config, listener: socket.socket) -> None:
    """Serve as ``uvicorn.run`` does, on a socket that is bound already."""
    with contextlib.suppress(KeyboardInterrupt):
        if configuration.workers > 1:
            from uvicorn.supervisors import Multiprocess

            Multiprocess(configuration, sockets=[listener]).run()
            return
        server = uvicorn.Server(configuration)
        server.run(sockets=[listener])
        if not server.started:
            sys.exit(_NOT_STARTED)


async def _make_so(settings: Settings, wanted: bootstrap.Bootstrap | None) -> None:
    if wanted is None:
        return
    async with opened(settings) as engine:
        await bootstrap.apply(engine, wanted)


async def work() -> None:
    """Judge and scan files, and sweep, beside any number of servers and others like it, until SIGTERM or SIGINT."""
    memory.keep_compact()
    settings = _shared(configuration.load())
    configure_logging(settings)
    _tell_of_disks(settings)
    admission.raise_file_limit()
    await prepare(settings)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with (
        opened(settings) as engine,
        at_work(
            engine.processing.run(),
            engine.sweeper.run(),
            engine.name_index.run(),
            engine.deliveries.run(),
            engine.processes.run("worker"),
            memory.give_back(settings.sweep_interval),
        ),
    ):
        await stopped.wait()


def _shared(settings: Settings) -> Settings:
    """Return the settings of one process of several, for this one and those that it starts."""
    if settings.database_processes == "one":
        raise SettingsError(
            "FILEFERRY_DATABASE_PROCESSES is 'one': start one server with one worker, and nothing beside it."
        )
    os.environ["FILEFERRY_DATABASE_PROCESSES"] = "several"
    return msgspec.structs.replace(settings, database_processes="several")


def _tell_of_disks(settings: Settings) -> None:
    for sentence in examine(settings):
        _log.warning("disk", told=sentence)


async def back_up(to: Path) -> Record:
    """Copy the folder, beside a running server or without one; see ``backups``. Raises Unavailable as ``doctor``."""
    from fileferry import backups

    settings = _beside_server()
    return await backups.back_up(settings, to)


async def restore(source: Path) -> Record:
    """Put a copy where the settings say that the folder is; see ``backups``."""
    from fileferry import backups

    settings = configuration.load()
    configure_logging(settings)
    return await backups.restore(settings, source)


def migrate_database(settings: Settings, source: str, target: str, told: Callable[[str, int], None]) -> Copied:
    """Copy a SQLite database to PostgreSQL; see ``db.copying``."""
    need_driver()
    from fileferry.db import copying

    configure_logging(settings)
    return copying.copy(source, target, settings, told)


def _beside_server() -> Settings:
    """Return the settings for a process beside a server or without one; raises Unavailable where it has its database for itself."""
    settings = configuration.load()
    configure_logging(settings)
    holders = holders_of(settings)
    if holders == "one":
        raise Unavailable("The server has its database for itself, as it must on this disk: stop it first.")
    return _shared(settings) if holders == "several" else settings


async def doctor(*, fix: bool) -> tuple[list[str], Findings]:
    """Compare store and database, and with ``fix`` mend what differs; works beside a running server. Also tell of the disks.

    Raises Unavailable where the server has its database for itself.
    """
    settings = _beside_server()
    told, made = examine(settings), await prepare(settings)
    told += [] if made is None else [f"The database was empty; its root key, shown this once: {made}"]
    async with opened(settings) as engine:
        return told, await engine.sweeper.scan(fix=fix)


class Verification(msgspec.Struct):
    """What ``verify`` has read so far: how many versions and bytes, what is wrong with which, and the last one's id."""

    files: int = 0
    bytes: int = 0
    faults: dict[str, str] = {}
    last: str = ""


async def verify(*, rate: int | None, anew: bool, tell: Callable[[str], None]) -> Verification:
    """Read every file and compare it with its digests, from where the last run was ended; ``tell`` gets a sentence for each fault.

    How far it is stands in the data folder. Raises Unavailable as ``doctor``.
    """
    settings = _beside_server()
    await prepare(settings)
    place = settings.data / _VERIFIED
    found = _so_far(place) if not anew else Verification()
    written = time.monotonic()
    async with opened(settings) as engine, contextlib.aclosing(engine.verifier.run(found.last, rate)) as verified:
        try:
            async for version in verified:
                found.files += 1
                found.bytes += version.size
                found.last = version.version_id
                if version.fault is not None:
                    found.faults[version.version_id] = version.fault
                    tell(f"The bytes of version {version.version_id} are {version.fault}.")
                if time.monotonic() - written > _WRITTEN_EVERY:
                    _replace(place, msgspec.json.encode(found))
                    written = time.monotonic()
        except BaseException:
            _replace(place, msgspec.json.encode(found))
            raise
    place.unlink(missing_ok=True)
    return found


def _so_far(place: Path) -> Verification:
    try:
        return msgspec.json.decode(place.read_bytes(), type=Verification)
    except (FileNotFoundError, msgspec.DecodeError):
        return Verification()


class Move(Moving):
    """How far ``migrate-store`` is, between which places; ``is_last`` says whether nothing new comes to the store before."""

    source: str = ""
    to: str = ""
    is_last: bool = False


async def migrate_store(*, to: str, rate: int | None, told: Callable[[Move], None]) -> Move:
    """Copy what the store has to the one at ``to``, from where the last run was ended; ``told`` is called every few seconds.

    It works beside servers of any setting; how far it is stands in the data folder. Raises SettingsError for a place that cannot
    be used, and Unavailable as ``doctor``.
    """
    settings = _beside_server()
    source_settings, target_settings = opening.sides(settings, to)
    alone = msgspec.structs.replace(source_settings, direct="never", redirect="never")
    place = settings.data / _MOVED
    with _locked(place.with_suffix(".lock")):
        await prepare(alone)
        is_last = settings.store_before is not None and target_settings.store == settings.store
        move = _move_so_far(place, opening.address(source_settings), opening.address(target_settings), is_last)
        target = opening.open_store(target_settings)
        try:
            async with opened(alone) as engine:
                # Before the last run servers may bring files faster than they are copied.
                mover = Mover(engine.database, engine.store, target, rate, None if is_last else new_id(utc_now()))
                await mover.claim()
                written = time.monotonic()
                async with contextlib.aclosing(mover.run(move)) as steps:
                    async for _step in steps:
                        _replace(place, msgspec.json.encode(move))
                        if time.monotonic() - written > _WRITTEN_EVERY:
                            told(move)
                            written = time.monotonic()
        finally:
            await target.close()
        if not move.under_way:
            place.unlink()
    return move


def _move_so_far(place: Path, source: str, to: str, is_last: bool) -> Move:
    begun = Move(source=source, to=to, is_last=is_last)
    try:
        found = msgspec.json.decode(place.read_bytes(), type=Move)
    except (FileNotFoundError, msgspec.DecodeError):
        return begun
    # While servers wrote to the store before, something could come behind what was passed.
    return found if (found.source, found.to, found.is_last) == (source, to, is_last) else begun


def _replace(place: Path, content: bytes) -> None:
    """Write a file so that whoever is killed meanwhile leaves the old one."""
    beside = place.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(place)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("Another 'fileferry migrate-store' is at it.") from None
        yield


async def look_at_store() -> Report:
    """Try what the store does and enforces; works beside a running server, and changes nothing."""
    settings = configuration.load()
    configure_logging(settings)
    store = opening.open_store(settings)
    try:
        return await store.probe()
    finally:
        await store.close()
