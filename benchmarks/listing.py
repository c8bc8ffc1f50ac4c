"""How listing and looking up files take longer as a workspace grows: the same questions with a thousand files and a million.

Files are written straight into the database, so that a million take a minute; questions go to the engine, without HTTP, whose
time does not depend on how many files there are and would hide what does. Pages of the dashboard are whole, as a browser gets
them, but for the connection: the first one is to be there within 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import insert, select, text

from fileferry.app import opened, prepare
from fileferry.db.connections import writer_engine
from fileferry.db.schema import files, folders, names_progress, versions, workspaces
from fileferry.engine.engine import Engine
from fileferry.model import Principal, Search, new_id
from fileferry.settings import Settings, load
from fileferry.ui import application
from fileferry.ui.engines import ENGINE

SIZES = (1_000, 1_000_000)
_KEY = "ff_of_the_benchmark_of_listings"
_BATCH = 20_000
_IN_FOLDER = 100
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_PAGE = 100
_REPEATS = 300
_REPEATS_OF_PAGES = 30
_WORKSPACE_ID = workspaces.c.id.label("workspace_id")

Asking = Callable[[], Awaitable[Any]]


class Filled:
    """A workspace of ``count`` files; ``questions`` are what is asked of it, each of another file or page every time."""

    def __init__(self, engine: Engine, principal: Principal, count: int) -> None:
        self._engine = engine
        self._principal = principal
        self._count = count
        self._random = random.Random(count)
        self._browser: httpx.AsyncClient | None = None

    def questions(self) -> dict[str, Asking]:
        """Return what is timed, by name."""
        return {
            "first page of 100": self._search(),
            "first page, newest first": self._search(order_by=(("created_at", True),)),
            "first page, last changed first": self._search(order_by=(("modified_at", True),)),
            "first page of a folder, by path": self._by_path,
            "one file by its path": self._at,
            "one file by its id": self._get,
            "its versions": self._versions,
            "the file with a part of a name": self._by_part,
            "a part that no name has": self._search(name="no file has this in its name"),
        }

    def pages(self) -> dict[str, Asking]:
        """Return the pages that are timed."""
        return {
            "first page of the dashboard": self._page("/files"),
            "a part of a name that no name has, on the dashboard": self._page("/files?q=no file has this in its name"),
            "its page of a folder": self._page(f"/files?folder=folder {self._count // _IN_FOLDER // 2}"),
        }

    def slow_questions(self) -> dict[str, Asking]:
        """Return what reads further the more files there are."""
        return {
            "two characters that no name has": self._search(name="no"),
            "last page, by offset": self._search(offset=self._count - _PAGE),
        }

    def _search(self, **asked: Any) -> Asking:
        search = Search(limit=_PAGE, **asked)

        async def ask() -> None:
            found = await self._engine.files.search(self._principal, None, search)
            assert len(found.items) == (0 if search.name else _PAGE)

        return ask

    def _page(self, address: str) -> Asking:
        async def ask() -> None:
            if self._browser is None:
                token = await self._engine.sessions.open(_KEY, None, None, address="127.0.0.1", user_agent="make bench")
                transport = httpx.ASGITransport(_behind_the_door(self._engine))
                self._browser = httpx.AsyncClient(
                    transport=transport, base_url="http://service", cookies={"fileferry": token}
                )
            answer = await self._browser.get(address)
            assert answer.status_code == 200, answer.text

        return ask

    async def _by_part(self) -> None:
        number = self._random.randrange(self._count)
        found = await self._engine.files.search(self._principal, None, Search(limit=_PAGE, name=f"e {number}.t"))
        assert [each.file.id for each in found.items] == [_id(number)]

    async def _by_path(self) -> None:
        prefix = f"folder {self._random.randrange(self._count // _IN_FOLDER)}/"
        found, _further = await self._engine.files.list_by_path(self._principal, None, prefix, None, _PAGE)
        assert len(found) == _IN_FOLDER

    async def _at(self) -> None:
        number = self._random.randrange(self._count)
        assert (await self._engine.files.at(self._principal, None, _path(number))).file.id == _id(number)

    async def _get(self) -> None:
        number = self._random.randrange(self._count)
        assert (await self._engine.files.get(self._principal, _id(number))).file.path == _path(number)

    async def _versions(self) -> None:
        assert await self._engine.files.versions(self._principal, _id(self._random.randrange(self._count)))


def main(words: list[str]) -> int:
    """Fill, ask and print a table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks listing", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("data"), help="a folder on disk to fill databases below")
    parser.add_argument(
        "--database-urls", nargs=2, metavar="URL", help="two empty databases of PostgreSQL to fill instead"
    )
    arguments = parser.parse_args(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        taken = asyncio.run(_measure(Path(folder), arguments.database_urls or [None, None]))
    print("| | " + " | ".join(f"{size:,} files, ms" for size in SIZES) + " | ÷ |\n|---|--:|--:|--:|")
    for name, (few, many) in taken.items():
        print(f"| {name} | {few * 1000:,.2f} | {many * 1000:,.2f} | {many / few:,.2f} |")
    return 0


async def _measure(folder: Path, urls: list[str | None]) -> dict[str, tuple[float, float]]:
    """Return the median time of each question, in seconds, with few files and with many."""
    async with AsyncExitStack() as stack:
        few, many = [
            await stack.enter_async_context(_filled(folder / str(size), size, url))
            for size, url in zip(SIZES, urls, strict=True)
        ]
        asked = few.questions(), many.questions()
        taken = {name: await _medians(asked[0][name], asked[1][name], _REPEATS) for name in asked[0]}
        pages = few.pages(), many.pages()
        taken |= {name: await _medians(pages[0][name], pages[1][name], _REPEATS_OF_PAGES) for name in pages[0]}
        slow = few.slow_questions(), many.slow_questions()
        return taken | {name: await _medians(slow[0][name], slow[1][name], 5) for name in slow[0]}


@asynccontextmanager
async def _filled(folder: Path, count: int, url: str | None) -> AsyncIterator[Filled]:
    given = {"FILEFERRY_DATA": str(folder), "FILEFERRY_ROOT_KEY": _KEY, "FILEFERRY_DATABASE_STATEMENT_TIMEOUT": "1h"}
    settings = load(given if url is None else {**given, "FILEFERRY_DATABASE_URL": url})
    await prepare(settings)
    started = time.perf_counter()
    fill(settings, count)
    print(f"{count:,} files written in {time.perf_counter() - started:.0f} s", flush=True)
    async with opened(settings) as engine:
        started, computing = time.perf_counter(), time.process_time()
        await engine.name_index.catch_up()
        each = (time.process_time() - computing) / count * 1e6
        print(f"their names taken up in {time.perf_counter() - started:.0f} s, computing {each:.0f} µs here for each")
        yield Filled(engine, await engine.keys.authenticate(_KEY, None), count)


async def _medians(ask_few: Asking, ask_many: Asking, repeats: int) -> tuple[float, float]:
    """Ask both in turn, so that whatever else the machine does bears on both alike."""
    few, many = [], []
    for _ in range(repeats):
        few.append(await _timed(ask_few))
        many.append(await _timed(ask_many))
    return statistics.median(few), statistics.median(many)


def _behind_the_door(engine: Engine) -> Any:
    """Return the pages of the dashboard for this engine."""
    framework: Any = application.make()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await framework({**scope, ENGINE: engine}, receive, send)

    return answer


async def _timed(ask: Asking) -> float:
    started = time.perf_counter()
    await ask()
    return time.perf_counter() - started


def fill(settings: Settings, count: int) -> None:
    """Write ``count`` files straight into a prepared database that has one workspace."""
    engine = _writer_engine(settings)
    folder_ids = [new_id(_BEGAN) for _ in range(count // _IN_FOLDER)]
    with engine.connect() as connection:
        with connection.begin():
            place = dict(connection.execute(select(workspaces.c.organization_id, _WORKSPACE_ID)).mappings().one())
            workspace = {"workspace_id": place["workspace_id"], "created_at": _BEGAN}
            connection.execute(
                insert(folders),
                [{"id": id, "path": f"folder {number}", **workspace} for number, id in enumerate(folder_ids)],
            )
            connection.execute(workspaces.update().values(living_files=count, last_number=count))
            connection.execute(names_progress.update().values(file_id=""))
        for numbers in _batches(count):
            with connection.begin():
                rows = [_file(number) | place | {"folder_id": folder_ids[number // _IN_FOLDER]} for number in numbers]
                connection.execute(insert(files), rows)
                connection.execute(insert(versions), [_version(number) for number in numbers])
    if settings.resolved_database_file() is None:
        with engine.connect() as connection, connection.begin():
            connection.execute(text("ANALYZE"))
    engine.dispose()


def _writer_engine(settings: Settings) -> SqlEngine:
    if settings.resolved_database_file() is not None:
        return writer_engine(settings.resolved_database_url())
    from fileferry.db import sessions

    return sessions.writer_engine(settings.resolved_database_url(), settings)


def _batches(count: int) -> Iterator[range]:
    for start in range(0, count, _BATCH):
        yield range(start, min(start + _BATCH, count))


def _file(number: int) -> dict[str, Any]:
    path, created_at = _path(number), _BEGAN + timedelta(seconds=number)
    return {
        "id": _id(number),
        "name": path.rpartition("/")[2],
        "path": path,
        "owns_path": True,
        "current_version_id": _id(number),
        "metadata": {},
        "created_at": created_at,
        "modified_at": created_at,
    }


def _version(number: int) -> dict[str, Any]:
    return {
        "id": _id(number),
        "file_id": _id(number),
        "number": number,
        "state": "ready",
        "size": 100,
        "content_type": "text/plain",
        "crc32c": "00000000",
        "has_bytes": True,
        "created_at": _BEGAN,
        "sequence": number,
    }


def _path(number: int) -> str:
    return f"folder {number // _IN_FOLDER}/file {number}.txt"


def _id(number: int) -> str:
    # Ids of files grow with time; what follows the time is as good as random.
    milliseconds = int((_BEGAN.timestamp() + number) * 1000)
    rest = number * 2654435761 % 2**32
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7000-8000-{rest:012x}"
