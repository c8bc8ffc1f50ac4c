"""The composition root: the only module that wires database, store, engine, flows and server together, and that runs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import cast

import structlog
import uvicorn
from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from fileferry import settings as configuration
from fileferry.api import (
    administration,
    auth,
    bodies,
    delivery,
    direct,
    discovery,
    health,
    meeting,
    native,
    organizations,
    presigned,
    tus,
    workspaces,
)
from fileferry.api.reference import ReferencePage
from fileferry.blobs.local import LocalStore
from fileferry.db.database import SqliteDatabase
from fileferry.db.migration import migrate
from fileferry.engine.engine import Engine, claim_store, install, open_engine
from fileferry.engine.room import Room
from fileferry.engine.sweeper import Findings
from fileferry.model import Clock, utc_now
from fileferry.settings import Settings
from fileferry.telemetry import Application, Telemetry, configure_logging
from fileferry.web import problems
from fileferry.web.lingering import Lingering
from fileferry.web.requests import AnyRequest
from fileferry.wire import dispatch

_log = structlog.get_logger(__name__)


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
            sweeping = asyncio.create_task(engine.sweeper.run())
            try:
                yield
            finally:
                sweeping.cancel()
                await asyncio.gather(sweeping, return_exceptions=True)

    application = Litestar(
        route_handlers=[
            health.router,
            direct.router,
            presigned.router,
            meeting.router,
            workspaces.router,
            organizations.router,
            discovery.router,
            native.router,
            administration.router,
            tus.router,
            dispatch.router,
            delivery.router,
        ],
        dependencies={
            "engine": Provide(_engine_of, sync_to_thread=False),
            "principal": Provide(auth.authenticate),
        },
        exception_handlers={Exception: _render_unrouted},
        lifespan=[running],
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="fileferry",
            version=version("fileferry"),
            description="Hand files to other systems by URL.",
            path="/docs",
            render_plugins=[ReferencePage()],
            use_handler_docstrings=True,
        ),
    )
    bodies.describe(application.openapi_schema)
    return Telemetry(Lingering(cast(Application, application)))


def _engine_of(state: State) -> Engine:
    return cast(Engine, state.engine)


def _render_unrouted(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer an error that no flow's router caught, such as an unknown address, in the envelope of the flow it is under."""
    if request.scope["path"].startswith("/v1/organizations/"):
        return organizations.render_error(request, error)
    if request.scope["path"].startswith("/v1/"):
        return direct.render_error(request, error)
    return problems.render(request, error)


@contextlib.asynccontextmanager
async def opened(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Engine]:
    """Open an engine on a prepared database and the store, and close it in the end."""
    store = LocalStore(settings.resolved_store_folder())
    database = SqliteDatabase(settings.resolved_database_url())
    disks = [settings.resolved_store_folder(), settings.resolved_database_folder()]
    await claim_store(database, store, clock)
    engine = await open_engine(database, store, Room(disks, settings.min_free_space), settings, clock)
    try:
        yield engine
    finally:
        await engine.close()


async def prepare(settings: Settings, clock: Clock = utc_now) -> str | None:
    """Bring folder and database up to date; safe to call from several processes at once.

    Returns the root key's secret where this call made one; it can be shown only now.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    url = settings.resolved_database_url()
    await asyncio.get_running_loop().run_in_executor(None, migrate, url)
    database = SqliteDatabase(url)
    store = LocalStore(settings.resolved_store_folder())
    try:
        await claim_store(database, store, clock)
        return await install(database, settings, clock)
    finally:
        await store.close()
        await database.close()


def serve(host: str, port: int, workers: int) -> None:
    """Prepare the database, then serve until SIGTERM or SIGINT; running transfers may finish within ``shutdown_grace``."""
    settings = configuration.load()
    configure_logging(settings)
    made = asyncio.run(prepare(settings))
    if made is not None:
        print(f"Root key, shown this once: {made}", flush=True)
    if workers > 1:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="fileferry-metrics-"))
    uvicorn.run(
        "fileferry.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.shutdown_grace.total_seconds()),
        timeout_worker_healthcheck=10,
    )


async def doctor(*, fix: bool) -> Findings:
    """Compare store and database, and with ``fix`` mend what differs; works beside a running server."""
    settings = configuration.load()
    configure_logging(settings)
    await prepare(settings)
    async with opened(settings) as engine:
        return await engine.sweeper.scan(fix=fix)
