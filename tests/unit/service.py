"""The whole service in this process on a clock that tests move: requests run its loop, and nothing happens in between."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from urllib.parse import unquote_to_bytes

import httpx
from litestar.datastructures import State
from msgspec import structs

from fileferry.app import create_app, opened, prepare
from fileferry.blobs.local import LocalStore
from fileferry.db import bookkeeping
from fileferry.db.migration import migrate
from fileferry.db.opening import open_database
from fileferry.engine.engine import Engine
from fileferry.engine.events import connections
from fileferry.engine.events.deliveries import Deliveries
from fileferry.engine.files.sweeper import Findings
from fileferry.settings import Settings, load
from fileferry.web import zerocopy
from support import postgresql
from support.routes import routed

ROOT_KEY = "ff_of_this_test_and_no_other"
_BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)
_END = _BEGINNING + timedelta(days=36500)
_trusting = functools.cache(connections.trusting)  # reading all certificates takes longer than most tests


class Answer(NamedTuple):
    """What came back of a request that was sent as it is."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Service:
    """The application, opened; ``request`` asks it, ``pass_time`` moves its clock, ``sweep`` and ``scan`` clean up by hand."""

    def __init__(self, folder: Path, **settings: str) -> None:
        given = {"data": str(folder), "root_key": ROOT_KEY, "sweep_interval": "1000h", "processing": "worker"}
        given |= {"log_level": "error", **settings}
        self.settings: Settings = load({f"FILEFERRY_{name.upper()}": value for name, value in given.items()})
        self.data = folder
        self.now = _BEGINNING
        self._loop = asyncio.new_event_loop()
        self._handlers = logging.getLogger().handlers[:]
        keeps_leases = self._place_database()
        self._run(prepare(self.settings, self.clock))
        if not keeps_leases:
            self._run(_keep_sweeper_away(self.settings))
        self._state = State()
        with mock.patch("fileferry.app.Framework", functools.partial(routed, self._state)):
            self._app: Any = create_app(self.settings, self.clock)
        self._messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self._run(self._start())

    def _place_database(self) -> bool:
        """Put a migrated database where the settings say that it is, unless it is there; tell whether it has the leases."""
        if self.settings.database_url is not None:
            return False
        self.data.mkdir(parents=True, exist_ok=True)
        place = self.data / "fileferry.db"
        if place.exists():
            return False
        if not postgresql.is_chosen():
            place.write_bytes(_empty_database())
            return True
        told = self.data / "database.url"
        if not told.exists():
            told.write_text(postgresql.new_database(prepared=True))
        self.settings = structs.replace(self.settings, database_url=told.read_text())
        return False

    def clock(self) -> datetime:
        """Tell the time of this service."""
        return self.now

    def pass_time(self, **amount: float) -> None:
        """Move the clock."""
        self.now += timedelta(**amount)

    def request(self, method: str, url: str, *, key: str | None = ROOT_KEY, **options: Any) -> httpx.Response:
        """Ask the service, with the root key unless told otherwise."""
        answer: httpx.Response = self._run(self.ask(method, url, key=key, **options))
        return answer

    async def ask(self, method: str, url: str, *, key: str | None = ROOT_KEY, **options: Any) -> httpx.Response:
        """Ask as ``request`` does, while something else goes on: from within a body, say."""
        headers = {**({"X-API-Key": key} if key else {}), **options.pop("headers", {})}
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, url, headers=headers, **options)

    def ask_raw(
        self,
        method: str,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        sliced: list[int] | None = None,
    ) -> Answer:
        """Send what no client library would: any target and any headers, as bytes, with the root key unless they hold one.

        The client is gone once its body was read. With ``sliced`` the answer may come as slices of files, whose lengths it gets.
        """
        path, _, query = target.partition(b"?")
        sent = [(name.lower(), value) for name, value in headers]
        for name, value in ((b"x-api-key", ROOT_KEY.encode()), (b"host", b"service")):
            if name not in dict(sent):
                sent.append((name, value))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": b"/".join(map(_decoded, path.split(b"/"))).decode(errors="replace"),
            "raw_path": path,
            "query_string": query,
            "headers": sent,
            "client": ("127.0.0.1", 1),
            "server": ("service", 80),
            "extensions": {} if sliced is None else zerocopy.EXTENSIONS,
        }
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        told: list[Any] = []

        pieces: list[bytes] = []
        stays = asyncio.Event()

        async def receive() -> Any:
            if not waiting and sliced is not None:
                await stays.wait()
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            told.append(message)
            pieces.append(message.get("body", b""))
            if message["type"] == zerocopy.TYPE:
                assert sliced is not None
                sliced.append(message["count"])
                pieces.append(os.pread(message["file"].fileno(), message["count"], message["offset"]))

        self._run(self._app(scope, receive, send))
        return Answer(told[0]["status"], list(told[0]["headers"]), b"".join(pieces))

    def upload(self, content: bytes = b"abc", path: str = "a", **parameters: str) -> dict[str, Any]:
        """Put a file and return it."""
        answer = self.request("PUT", f"/api/upload/{path}", content=content, params=parameters)
        assert answer.is_success, answer.text
        file: dict[str, Any] = answer.json()
        return file

    def fetch(self, url: str) -> httpx.Response:
        """Get a URL without a key."""
        return self.request("GET", url, key=None)

    def sign_in(self) -> str:
        """Sign the root key in to the dashboard; return the id of the session."""
        self._run(self._engine.sessions.open(ROOT_KEY, None, None, address="127.0.0.1", user_agent="a test"))
        session = self.request("GET", "/api/sessions").json()["sessions"][0]
        return str(session["id"])

    def process(self) -> None:
        """Judge what is due."""

        self._run(self._engine.processing.settle())

    def write_fetches(self) -> None:
        """Record the fetches that wait to be written together."""
        self._run(self._engine.fetches._write())

    def write_key_uses(self) -> None:
        """Write when keys were used, as a minute's end does."""
        self._run(self._engine.key_uses.write())

    def write(self, fn: Any, *args: Any) -> Any:
        """Run ``fn`` of a connection in a transaction of the database."""
        return self._run(self._engine.database.write(fn, *args))

    def deliver(self, **seams: Any) -> None:
        """Send what is due to webhooks, without the chance that retries wait longer."""

        given = {"chance": lambda: 0.0, **seams}
        self._run(Deliveries(self._engine.database, self._engine.links, self.settings, self.clock, **given).settle())

    def sweep(self) -> None:
        """Sweep once."""

        self._run(self._engine.sweeper.sweep())

    def scan(self, *, fix: bool) -> Findings:
        """Compare store and database, as ``fileferry doctor`` does."""

        async def run() -> Findings:
            async with opened(self.settings, self.clock) as engine:
                return await engine.sweeper.scan(fix=fix)

        return self._run(run())

    def with_store(self, use: Any) -> Any:
        """Run ``use(store)``, a coroutine function, on a store of its own in the same folder."""

        async def run() -> Any:
            store = LocalStore(self.settings.resolved_store_folder())
            try:
                return await use(store)
            finally:
                await store.close()

        return self._run(run())

    def blobs(self) -> list[Path]:
        """Return every file that the store has on the disk."""
        folders = [self.data / "blobs", self.data / "incoming"]
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    def close(self) -> None:
        """End the application's lifespan, and give logging back to the tests."""
        self._run(self._stop())
        self._loop.close()
        logging.getLogger().handlers = self._handlers

    @property
    def _engine(self) -> Engine:
        engine: Engine = self._state.engine
        return engine

    def _run(self, awaited: Any) -> Any:
        with mock.patch.object(connections, "trusting", _trusting):
            return self._loop.run_until_complete(awaited)

    async def _start(self) -> None:
        ready = asyncio.Event()

        async def send(message: dict[str, str]) -> None:
            if message["type"].endswith("failed"):
                print(message, file=sys.stderr)
            ready.set()

        self._running = asyncio.create_task(self._app({"type": "lifespan", "state": {}}, self._messages.get, send))
        await self._messages.put({"type": "lifespan.startup"})
        await ready.wait()

    async def _stop(self) -> None:
        assert self._running is not None
        await self._messages.put({"type": "lifespan.shutdown"})
        await self._running


@functools.lru_cache(maxsize=256)
def _decoded(segment: bytes) -> bytes:
    """Undo the percent-encoding of a part of an address; some tests send the same long ones to every address."""
    return unquote_to_bytes(segment)


async def _keep_sweeper_away(settings: Settings) -> None:
    """Take the leases that the service's own loops would, so that nothing is swept or sent but by a test's word."""
    database = open_database(settings)
    try:
        for name in ("sweeper", "webhooks"):
            assert await database.write(bookkeeping.take_lease, name, "the test", _BEGINNING, _END)
    finally:
        await database.close()


@functools.cache
def _empty_database() -> bytes:
    """Return a migrated database with the leases and no other row: migrating takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fileferry.db")
        migrate(f"sqlite:///{path}")
        asyncio.run(_keep_sweeper_away(load({"FILEFERRY_DATA": folder})))
        return path.read_bytes()
