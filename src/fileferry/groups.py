"""One thread that takes waiting jobs as a group, so that they share a slow step such as a sync. What a job does is its user's."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar


class Job:
    """A unit of work awaited on an event loop and done on another thread; the thread sets ``result`` or ``error``."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.error: Exception | None = None


J = TypeVar("J", bound=Job)


class GroupThread(Generic[J]):
    """Calls ``process`` with every job that was waiting, at most ``largest`` at once, then settles their futures together."""

    def __init__(self, name: str, process: Callable[[list[J]], None], largest: int) -> None:
        self._process = process
        self._largest = largest
        self._jobs: queue.SimpleQueue[J | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def submit(self, job: J) -> Any:
        """Queue ``job`` and return its result or raise its error.

        A cancelled caller still waits for the outcome, so that it never lets go of what the thread is using.
        """
        self._jobs.put(job)
        return await settled(job.future)

    async def close(self) -> None:
        """Finish the queue and stop the thread."""
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _work(self) -> None:
        open_for_more = True
        while open_for_more:
            group, open_for_more = self._gather()
            if group:
                self._process_all(group)
                _deliver(group)

    def _process_all(self, group: list[J]) -> None:
        try:
            self._process(group)
        except Exception as error:  # a thread that died of it would leave these and all later callers waiting for ever
            for job in group:
                job.error = job.error or error

    def _gather(self) -> tuple[list[J], bool]:
        group: list[J] = []
        while len(group) < self._largest and not (group and self._jobs.empty()):
            job = self._jobs.get()
            if job is None:
                return group, False
            group.append(job)
        return group, True


async def settled(future: asyncio.Future[Any]) -> Any:
    """Await ``future``; when cancelled meanwhile, wait for its end all the same and only then pass the cancellation on."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


def _deliver(group: list[Any]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in group:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        # A shutdown that gave up waiting has closed the loop; what was done is done either way.
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, jobs)


def settle(jobs: Sequence[Job]) -> None:
    """Give every caller its result or its error."""
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
