"""An engine on a clock that the test moves, whose coroutines are called like functions. Every byte goes to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from fileferry.app import opened, prepare
from fileferry.engine.engine import Engine
from fileferry.engine.receiving.promises import Promise
from fileferry.engine.receiving.uploads import NewFile
from fileferry.model import Principal, StoredFile, Upload
from fileferry.settings import Settings, load

T = TypeVar("T")
_ROOT_KEY = "ff_of_this_trial_and_no_other"
_BLOCK = 7


class Trial:
    """One engine on the database that ``settings`` name, acting as its root key."""

    def __init__(self, folder: Path, **settings: str) -> None:
        given = {"data": str(folder), "root_key": _ROOT_KEY, "inline_size": "0", "log_level": "error", **settings}
        self.settings: Settings = load({f"FILEFERRY_{name.upper()}": value for name, value in given.items()})
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self._loop = asyncio.new_event_loop()
        self._opened = AsyncExitStack()
        self.run(prepare(self.settings, self.clock))
        self.engine: Engine = self.run(self._opened.enter_async_context(opened(self.settings, self.clock)))
        self.principal: Principal = self.run(self.engine.keys.authenticate(_ROOT_KEY, None))

    def clock(self) -> datetime:
        """Tell the time of this trial."""
        return self.now

    def run(self, awaited: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine does."""
        return self._loop.run_until_complete(awaited)

    def put(
        self, workspace: str, path: str, content: bytes, lifetime: timedelta | None, *, at_path: bool
    ) -> StoredFile:
        """Upload in one call."""

        async def put() -> StoredFile:
            new = NewFile(path=path, at_path=at_path, workspace=workspace, expires_in=lifetime)
            async with self.engine.uploads.receive(self.principal, size=len(content)) as incoming:
                await incoming.write(content)
                return (await incoming.finish(new)).stored

        return self.run(put())

    def ask(self, promise: Promise) -> Upload:
        """Return the ticket of an upload."""
        (upload,) = self.run(self.engine.tickets.open(self.principal, [promise]))
        return upload

    async def deliver(self, upload_id: str, content: bytes) -> StoredFile | None:
        """Send all bytes of an upload at once; return the version where it completes itself."""
        upload = await self.engine.tickets.get(self.principal, upload_id)
        async with await self.engine.arrivals.whole(upload, {}, len(content)) as arrival:
            await arrival.write(content)
            return (await arrival.finish()).stored

    async def deliver_in_blocks(self, upload_id: str, content: bytes) -> StoredFile | None:
        """Send the bytes of an upload in blocks and then their list; return the version where it completes itself."""
        upload = await self.engine.tickets.get(self.principal, upload_id)
        names = []
        for start in range(0, len(content), _BLOCK):
            piece, name = content[start : start + _BLOCK], f"{start:04d}"
            async with await self.engine.arrivals.block(upload, name, {}, len(piece)) as arrival:
                await arrival.write(piece)
                await arrival.finish()
            names.append(name)
        upload = await self.engine.tickets.get(self.principal, upload_id)
        return (await self.engine.blocks.commit(upload, [("latest", name) for name in names], {})).stored

    def deliver_together(self, contents: Sequence[tuple[str, bytes]]) -> list[StoredFile | None]:
        """Send all bytes of several uploads at the same time."""

        async def deliver() -> list[StoredFile | None]:
            return await asyncio.gather(*(self.deliver(upload_id, content) for upload_id, content in contents))

        return self.run(deliver())

    async def complete(self, upload_id: str) -> StoredFile:
        """Make what has arrived for an upload a version."""
        upload = await self.engine.tickets.get(self.principal, upload_id)
        return await self.engine.tickets.complete(upload, None)

    async def abort(self, upload_id: str) -> None:
        """Give an upload up."""
        await self.engine.tickets.abort(await self.engine.tickets.get(self.principal, upload_id))

    async def read(self, stored: StoredFile) -> bytes:
        """Return the bytes of a version."""
        found = self.engine.files.read(stored, 0, stored.version.size)
        return b"".join([block async for block in found])

    def stored_blobs(self) -> list[bytes]:
        """Return the bytes of every blob in the store, sorted."""

        async def read() -> list[bytes]:
            found = []
            async for key in self.engine.store.orphans():
                size = (await self.engine.store.stat(key)).size
                found.append(b"".join([block async for block in self.engine.store.read(key, 0, size)]))
            return sorted(found)

        return self.run(read())

    def close(self) -> None:
        """Close the engine."""
        self.run(self._opened.aclose())
        self._loop.close()
