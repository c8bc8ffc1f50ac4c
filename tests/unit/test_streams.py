"""What a stream records when the disk or the task fails in the midst of it: what was recorded is there, and nothing twice."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fileferry.app import opened, prepare
from fileferry.engine.engine import Engine
from fileferry.engine.inspection import suspendable
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import InsufficientStorage, Unavailable
from fileferry.model import Upload, UploadState
from fileferry.settings import Settings
from unit.service import Service

CONTENT = os.urandom(700_000)
Trial = Callable[[Engine, Upload], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Trial], None]:
    """Run a trial with an engine and an upload of its own."""

    async def with_engine(trial: Trial) -> None:
        settings = Settings(data=tmp_path, root_key="ff_of_these_streams_and_no_other")
        await prepare(settings)
        async with opened(settings) as engine:
            principal = await engine.keys.authenticate("ff_of_these_streams_and_no_other", None)
            (upload,) = await engine.tickets.open(principal, [Promise(path="a.bin", auto_complete=True)])
            await trial(engine, upload)

    return lambda trial: asyncio.run(with_engine(trial))


async def body(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def send(engine: Engine, upload: Upload, content: bytes) -> None:
    async with await engine.streams.append(upload, upload.offset) as arrival:
        await arrival.take(body(content))
        await arrival.finish()


async def offset_of(engine: Engine, upload: Upload) -> int:
    return (await engine.streams.status(upload)).offset


async def completed(engine: Engine, upload: Upload) -> bytes:
    received = await engine.streams.complete(upload)
    assert received.stored is not None
    return b"".join([block async for block in engine.files.read(received.stored, 0, received.size)])


def test_bytes_whose_sync_failed_are_not_recorded(
    run: Callable[[Trial], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OSError(errno.EIO, "the disk failed")])
    sync = os.fdatasync

    def failing_once(descriptor: int) -> None:
        for failure in failures:
            raise failure
        sync(descriptor)

    async def trial(engine: Engine, upload: Upload) -> None:
        monkeypatch.setattr(os, "fdatasync", failing_once)
        with pytest.raises(Unavailable):
            await send(engine, upload, CONTENT)
        assert await offset_of(engine, upload) == 0
        await send(engine, upload, CONTENT)
        assert await completed(engine, upload) == CONTENT

    run(trial)


def test_a_batch_that_a_full_disk_cut_short_is_not_recorded(
    run: Callable[[Trial], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all, write_some = os.writev, os.write

    async def trial(engine: Engine, upload: Upload) -> None:
        def short(descriptor: int, chunks: Any) -> int:
            return write_all(descriptor, [b"".join(chunks)[:100_000]])

        def full(descriptor: int, content: Any) -> int:
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as disk:
            disk.setattr(os, "writev", short)
            disk.setattr(os, "write", full)
            with pytest.raises(InsufficientStorage):
                await send(engine, upload, CONTENT[:400_000])
        assert os.write is write_some
        assert await offset_of(engine, upload) == 0
        await send(engine, upload, CONTENT)
        assert await completed(engine, upload) == CONTENT

    run(trial)


def test_what_was_recorded_when_the_task_was_cancelled_is_recorded_once(run: Callable[[Trial], None]) -> None:
    async def trial(engine: Engine, upload: Upload) -> None:
        write = engine.database.write
        recorded = asyncio.Event()

        async def held_after_the_commit(fn: Any, *args: Any, **options: Any) -> Any:
            result = await write(fn, *args, **options)
            if fn.__name__ == "_record" and not recorded.is_set():
                recorded.set()
                await asyncio.Event().wait()
            return result

        engine.database.write = held_after_the_commit  # type: ignore[method-assign]
        sending = asyncio.create_task(send(engine, upload, CONTENT))
        await recorded.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert await offset_of(engine, upload) == len(CONTENT)
        assert await completed(engine, upload) == CONTENT

    run(trial)


def test_a_stream_is_gone_on_with_though_the_request_before_has_brought_the_last_byte(
    run: Callable[[Trial], None],
) -> None:
    async def trial(engine: Engine, upload: Upload) -> None:
        await send(engine, upload, CONTENT)
        assert await completed(engine, upload) == CONTENT
        # ``upload`` is as it was looked up before that: open.
        current = await engine.streams.adopt(upload)
        assert (current.state, current.offset) == (UploadState.COMPLETED, len(CONTENT))

    run(trial)


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_digest_put_aside_anywhere_goes_on_where_it_was(algorithm: str) -> None:
    whole = suspendable.begin(algorithm)
    whole.update(CONTENT)
    for cut in (0, 1, 55, 56, 63, 64, 65, 128, 699_999):
        first = suspendable.begin(algorithm)
        first.update(CONTENT[:cut])
        state = suspendable.state_of(first)
        assert state is not None
        second = suspendable.resume(algorithm, state)
        assert second is not None
        second.update(CONTENT[cut:])
        assert second.digest() == whole.digest()


def test_digests_that_cannot_be_put_aside_are_computed_from_the_bytes(
    run: Callable[[Trial], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspendable, "_FOUND", {})

    async def trial(engine: Engine, upload: Upload) -> None:
        await send(engine, upload, CONTENT[:300_000])
        await send(engine, await engine.streams.status(upload), CONTENT[300_000:])
        assert await completed(engine, upload) == CONTENT

    run(trial)


def test_a_google_session_tells_the_md5_that_its_client_asks_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request says that the client wants it; without it google-cloud-storage fails with a 200."""
    monkeypatch.setattr(suspendable, "_FOUND", {})
    url = service.request("POST", "/api/uploads", json={"path": "a", "auto_complete": True}).json()["url"]
    for span, piece, status in (("0-2/6", b"abc", 308), ("3-5/6", b"def", 200), ("3-5/6", b"def", 200)):
        answer = service.request("PUT", url, key=None, content=piece, headers={"Content-Range": f"bytes {span}"})
        assert answer.status_code == status
    md5 = base64.b64encode(hashlib.md5(b"abcdef").digest()).decode()
    assert answer.json()["md5Hash"] == md5
    assert answer.headers["x-goog-hash"].endswith(f",md5={md5}")
