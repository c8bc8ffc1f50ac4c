"""Doing one thing to many items, a few at a time: in threads or in tasks. Knows nothing of what is done."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):
    """Raised by work that was told to stop; nobody outside sees it."""


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


def in_threads(items: Sequence[T], parallel: int, work: Callable[[T, threading.Event], R]) -> Generator[R, None, None]:
    """Yield ``work(item, stop)`` of every item as it is done, at most ``parallel`` at a time; raise what the first raised.

    However the generator ends, ``stop`` is set and the threads are waited for: close it (``contextlib.closing``).
    """
    todo: queue.SimpleQueue[T] = queue.SimpleQueue()
    done: queue.SimpleQueue[R | _Failure] = queue.SimpleQueue()
    stop = threading.Event()
    for item in items:
        todo.put(item)

    def run() -> None:
        try:
            while not stop.is_set():
                try:
                    item = todo.get_nowait()
                except queue.Empty:
                    return
                done.put(work(item, stop))
        except BaseException as error:
            done.put(_Failure(error))

    # Daemons: a second interrupt need not wait for a network that stands still.
    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(parallel, len(items)))]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        for _ in items:
            outcome = done.get()
            if isinstance(outcome, _Failure):
                raise outcome.error
            yield outcome
    finally:
        stop.set()
        for thread in started:
            thread.join()


async def in_tasks(items: Sequence[T], parallel: int, work: Callable[[T], Awaitable[None]]) -> None:
    """Do ``work(item)`` for every item, at most ``parallel`` at a time; the first error ends the others and is raised."""
    todo = iter(items)

    async def run() -> None:
        for item in todo:
            await work(item)

    tasks = [asyncio.create_task(run()) for _ in range(min(parallel, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
