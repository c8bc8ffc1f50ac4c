"""The composition root: the only module that wires database, store, engine and flows together. ``running`` runs what it makes."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, cast

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide

from fileferry import memory
from fileferry import settings as configuration
from fileferry.api import (
    agents,
    auth,
    delivery,
    description,
    direct,
    discovery,
    health,
    meeting,
    native,
    oauth,
    organizations,
    presigned,
    presigned_parts,
    short,
    signed,
    tus,
    workspaces,
)
from fileferry.blobs import opening
from fileferry.db.clocks import shared_clock
from fileferry.db.opening import bring_up_to_date, open_database
from fileferry.disks import kinds, trial
from fileferry.disks.spare import Spare
from fileferry.engine.access import rates, roles
from fileferry.engine.engine import Engine, claim_store, install, open_engine
from fileferry.engine.receiving.room import Room
from fileferry.logs import get_logger
from fileferry.mcp.http import Mcp
from fileferry.model import Clock, Principal, utc_now
from fileferry.scanners.clamd import Clamd
from fileferry.scanners.scanner import Scanner
from fileferry.settings import Settings, SettingsError
from fileferry.telemetry import BUILD, Application, Telemetry, configure_logging
from fileferry.ui import requests, shares
from fileferry.ui.assets import get_asset
from fileferry.ui.door import door
from fileferry.version import version
from fileferry.web import admission, caching, identities, problems, waiting
from fileferry.web.dates import Dated
from fileferry.web.express import Express
from fileferry.web.framework import Framework
from fileferry.web.head_requests import HeadRequests
from fileferry.web.lingering import Lingering
from fileferry.web.rates import RateHeaders
from fileferry.web.requests import AnyRequest
from fileferry.web.targets import BoundedTarget, refuse_other_spellings
from fileferry.wire import dispatch
from fileferry.wire import short as wire_short

_MOST_SPARE = 4 * 1024 * 1024  # SQLite's log is written into the database when it is about this long
_LEAST_SPARE = 1024 * 1024  # a deletion takes some tens of KiB of the log, until that begins anew
_SPARE_SHARE = 16
_PR_SET_PDEATHSIG = 1  # prctl(2)
_log = get_logger(__name__)


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> Application:
    """Return the whole service as one ASGI application; its lifespan opens and closes everything.

    Settings come from the environment unless given. The database must have been prepared (``prepare``).
    """
    settings = settings or configuration.load()
    configure_logging(settings)

    @contextlib.asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        async with opened(settings, clock) as engine:
            app.state.engine = engine
            BUILD.labels(version()).set(1)
            _end_with_parent()
            judging = [engine.processing.run()] if settings.processing == "server" else []
            loops = [engine.sweeper.run(), engine.name_index.run(), engine.deliveries.run(), *judging]
            loops += [engine.processes.run("serve"), engine.key_uses.run(), memory.give_back(settings.sweep_interval)]
            async with at_work(*loops):
                with _on_signals(engine.events.end):
                    yield

    application = Framework(
        route_handlers=[
            health.router,
            presigned.router,
            presigned_parts.router,
            signed.router,
            meeting.router,
            workspaces.router,
            organizations.router,
            discovery.router,
            *native.routers,
            tus.router,
            dispatch.router,
            wire_short.router,
            delivery.router,
            short.router,
            agents.router,
            oauth.router,
            shares.router,
            requests.router,
            door if settings.dashboard else Router("/ui", route_handlers=[get_asset]),
        ],
        dependencies={
            "engine": Provide(_engine_of, sync_to_thread=False),
            "principal": Provide(auth.authenticate),
        },
        guards=[refuse_other_spellings],
        exception_handlers={Exception: _render_unrouted},
        lifespan=[running],
        before_request=identities.spell,
        before_send=[waiting.tell_applied, caching.keep_private],
        logging_config=None,
        openapi_config=description.configured([protocol.render_error for protocol in dispatch.PROTOCOLS]),
    )

    async def agent(request: AnyRequest) -> Principal:
        return await auth.known(request, application.state.engine)

    def challenge(request: AnyRequest) -> str | None:
        return oauth.challenge(request, application.state.engine)

    inner = BoundedTarget(RateHeaders(HeadRequests(Express(application, auth.authenticate))))
    answering = Mcp(inner, agent, challenge)
    served = Telemetry(
        Dated(Lingering(answering), clock), configuration.networks("trusted_proxies", settings.trusted_proxies)
    )
    if not settings.traces:
        return served
    from fileferry.tracing import Tracing  # loaded where it is used only

    return Tracing(served)


def create_served_app() -> Application:
    """Return the service for a process that does nothing else; uvicorn calls this in each."""
    memory.keep_compact()
    application = create_app()
    memory.collect_rarely()
    return application


def _engine_of(state: State) -> Engine:
    return cast(Engine, state.engine)


def _render_unrouted(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer an error that no flow's router caught, such as an unknown address, in the envelope of the flow it is under."""
    if f"{request.scope['path']}/".startswith("/tus/"):
        return tus.render_error(request, error)
    if request.scope["path"].startswith("/v1/organizations/"):
        return organizations.render_error(request, error)
    if f"{request.scope['path']}/".startswith("/v1/files/") and signed.is_meant(request):
        return signed.render_error(request, error)
    if request.scope["path"].startswith("/v1/"):
        return direct.render_error(request, error)
    return problems.render(request, error)


@contextlib.contextmanager
def _on_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` too when the server is told to end: it would wait for open streams before it says so to the application."""
    loop = asyncio.get_running_loop()
    served = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        handler = served[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    watched = [number for number, handler in served.items() if callable(handler)]
    for number in watched:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in watched:
            signal.signal(number, served[number])


@contextlib.asynccontextmanager
async def opened(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Engine]:
    """Open an engine on a prepared database and the store, and close it in the end."""
    store = opening.open_store(settings)
    spare = _spare(settings)
    room = Room(_folders(settings), settings.min_free_space, spare)
    database = open_database(settings, room.refuse_full, alone=_is_alone(settings), spare=spare)
    is_shared = clock is utc_now and settings.resolved_database_file() is None
    async with shared_clock(database, clock) if is_shared else contextlib.nullcontext(clock) as clock:
        await claim_store(database, store, clock)
        report = await opening.examine(store, settings)
        engine = await open_engine(database, store, room, _scanner(settings), settings, clock)
        engine.store_report = report
        try:
            yield engine
        finally:
            await engine.close()


def _folders(settings: Settings) -> list[Path]:
    """Return the folders whose disks fill: those of the stores that have one, and that of the database, where it is a file."""
    file = settings.resolved_database_file()
    before = settings.of_store_before()
    folders = [settings.resolved_store_folder(), file and file.parent]
    if before is not None:
        folders.append(before.resolved_store_folder())
    return list(dict.fromkeys(folder for folder in folders if folder is not None))


def _spare(settings: Settings) -> Spare | None:
    """Return what is kept on the database's disk, if that is ours, so that files can be deleted when there is no other room."""
    file = settings.resolved_database_file()
    size = max(_LEAST_SPARE, min(_MOST_SPARE, settings.min_free_space // _SPARE_SHARE))
    return None if file is None else Spare(Path(f"{file}-spare"), size)


def _is_alone(settings: Settings) -> bool:
    file = settings.resolved_database_file()
    if file is None or settings.processing == "worker" or settings.database_processes != "auto":
        return file is not None and settings.database_processes == "one"
    return kinds.kind_of(file.parent) in kinds.NEEDS_PRIVATE_INDEX


def examine(settings: Settings) -> list[str]:
    """Return what an operator should know of the disks under the folders, which are made where they are missing.

    Raises SettingsError for one that nothing can be kept on safely.
    """
    findings: list[trial.Finding] = []
    for folder in _folders(settings):
        folder.mkdir(parents=True, exist_ok=True)
        findings += trial.examine(folder)
    fatal = [finding.sentence for finding in findings if finding.fatal]
    if fatal:
        raise SettingsError(" ".join(fatal))
    told = [finding.sentence for finding in findings]
    file = settings.resolved_database_file()
    if file and not _is_alone(settings) and (kind := kinds.kind_of(file.parent)) in kinds.NEEDS_PRIVATE_INDEX:
        told.append(
            f"{file.parent} is on {kind}: when it is full it may end this and every other process; start one worker only."
        )
    return told


def check(settings: Settings) -> None:
    """Raise SettingsError for what only its users can read, before anything is made or shown."""
    rates.check(settings)
    roles.read(settings)
    admission.check(settings)
    _scanner(settings)
    opening.check(settings)


def _scanner(settings: Settings) -> Scanner | None:
    if settings.clamd is None:
        return None
    try:
        return Clamd(settings.clamd, int(settings.clamd_max_size), settings.scan_timeout)
    except ValueError as error:
        raise SettingsError(f"FILEFERRY_CLAMD: {error}") from error


async def prepare(settings: Settings, clock: Clock = utc_now) -> str | None:
    """Bring folder and database up to date; safe to call from several processes at once.

    Returns the root key's secret where this call made one; it can be shown only now.
    """
    check(settings)
    settings.data.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(bring_up_to_date, settings, alone=(alone := _is_alone(settings)))
    database = open_database(settings, alone=alone, spare=_spare(settings))
    store = opening.open_store(settings)
    try:
        await claim_store(database, store, clock)
        return await install(database, settings, clock)
    finally:
        await store.close()
        await database.close()


def _end_with_parent() -> None:
    """Let a worker process end with the one that started it, killed or not: orphans would go on serving with old settings."""
    if multiprocessing.parent_process() is not None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_with(task: asyncio.Task[None]) -> None:
    """End this process in an orderly way with a loop that has failed: whoever runs it starts it anew."""
    if not task.cancelled() and task.exception() is not None:
        _log.critical("loop_failed", loop=repr(task.get_coro()), exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.asynccontextmanager
async def at_work(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run what never ends by itself, and end it in the end; where one ends by a fault, this process ends too."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    for task in tasks:
        task.add_done_callback(_end_with)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
