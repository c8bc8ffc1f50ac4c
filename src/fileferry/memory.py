"""The memory of a process that serves for months: what the collector of cycles looks at, and what is given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from datetime import timedelta

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # mallopt(3)
_LARGE = 1024 * 1024  # bytes: parts for an object store
_FREE = 64 * _LARGE  # bytes that are kept for the next upload, until ``give_back``
_OBJECTS_BETWEEN_COLLECTIONS = 20_000  # those of some hundred requests that are under way


def keep_compact() -> None:
    """Let the C library keep one heap for all threads, and large blocks outside it: many uploads leave fewer holes so.

    Where there is no glibc nothing is done.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_M_ARENA_MAX, 1)
        option(_M_MMAP_THRESHOLD, _LARGE)
        option(_M_TRIM_THRESHOLD, _FREE)


def collect_rarely() -> None:
    """Let the collector of cycles pass over what stays for good, and run less often: nearly all of a request ends without it."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])


async def give_back(interval: timedelta) -> None:
    """Give back to the system, at every interval, what the C library keeps of memory that is free: of a crowd that is most."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it: malloc_trim(3)
    while trim is not None:
        await asyncio.sleep(interval.total_seconds())
        await asyncio.to_thread(trim, 0)
