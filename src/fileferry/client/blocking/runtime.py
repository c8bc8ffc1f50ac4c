"""What ordinary programs do in a way of their own, where the other client has asyncio: waiting, and several things at once.

Written by hand, like ``asynchronous.runtime``, which has the same names; everything else in this package is generated.
A task can be cancelled and a thread cannot, so a thread that works in parallel looks here whether it is to stop: whenever
it waits, and before every chunk that it sends.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import ParamSpec, TypeVar

import httpx

from fileferry.client.transfers.sources import Sending, Source, source_of
from fileferry.client.transfers.streaming import Held
from fileferry.errors import FerryError

__all__ = [
    "AnySource",
    "Lock",
    "chunks_of",
    "fill",
    "in_parallel",
    "lost_refusal",
    "run_blocking",
    "sleep",
    "source_of",
]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

AnySource = Source
"""Where bytes may come from."""


class Stopped(Exception):
    """Raised in a thread that was told to stop; nobody outside sees it."""


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class _Own(threading.local):
    """What each thread has of its own."""

    stop: threading.Event | None = None
    """Set when the thread is to stop; None where it works for nobody else."""


_own = _Own()


def sleep(seconds: float) -> None:
    """Wait; raise Stopped as soon as this thread is to stop."""
    if _own.stop is None:
        time.sleep(seconds)
    elif _own.stop.wait(seconds):
        raise Stopped


def run_blocking(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do it here and now: nothing is held up by that."""
    return work(*args, **kwargs)


def chunks_of(sending: Sending) -> Iterator[bytes]:
    """Yield what is sent; raise Stopped as soon as this thread is to stop."""
    for chunk in sending:
        if _own.stop is not None and _own.stop.is_set():
            raise Stopped
        yield chunk


def fill(held: Held, chunks: Iterator[bytes]) -> None:
    """Have ``held`` take chunks of a source as long as it has room."""
    held.fill(chunks)


def in_parallel(items: Sequence[T], parallel: int, work: Callable[[T], R], take: Callable[[T, R], object]) -> None:
    """Call ``take(item, work(item))`` for every item, with at most ``parallel`` under way; raise the first error.

    ``work`` runs in threads, ``take`` in the caller's own. However it ends, all threads are told to stop and waited for.
    """
    todo: queue.SimpleQueue[T] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[T, R] | _Failure] = queue.SimpleQueue()
    stop = threading.Event()
    for item in items:
        todo.put(item)

    def run() -> None:
        _own.stop = stop
        try:
            while not stop.is_set():
                try:
                    item = todo.get_nowait()
                except queue.Empty:
                    return
                done.put((item, work(item)))
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
            take(*outcome)
    finally:
        stop.set()
        for thread in started:
            thread.join()


def lost_refusal(
    http: httpx.Client, method: str, url: str, headers: Mapping[str, str], sending: Sending
) -> FerryError | None:
    """Return None: an answer that comes while a body is sent is not lost here."""
    del http, method, url, headers, sending
    return None
