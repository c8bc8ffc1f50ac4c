"""Rates counted in the database for all servers together: each takes shares of a window, and counts them out by itself.

So nobody gets more than the rate, and most requests cost no write; what a server has taken and not given out is lost to the others
until the window ends. Decision 0054.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from fileferry.db import rates
from fileferry.db.database import Database
from fileferry.model import Clock

_SHARE = 16  # of so many that fit into what is left
_FRESH = 1.0  # seconds for which what others have taken counts as known
_SWEEP = 10.0


class _Window:
    """What this server knows of one window: ``taken`` by all, of which it has ``left`` to give out itself."""

    def __init__(self) -> None:
        self.taken = 0
        self.left = 0
        self.known_at = -_FRESH
        self.ends_at = float("inf")
        self.lock = asyncio.Lock()

    @property
    def spent(self) -> int:
        return self.taken - self.left

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.known_at + _FRESH

    def learn(self, taken: int) -> None:
        self.taken, self.known_at = taken, time.monotonic()


class Shares:
    """Totals by key, as ``Counters`` has them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._swept = time.monotonic()

    async def get(self, key: str) -> int:
        """Return what was spent under a key, as it was known a second ago or later."""
        window = self._window(key)
        if not window.is_fresh:
            async with window.lock:
                if not window.is_fresh:
                    window.learn(await self._database.lookup(rates.taken, key))
        return window.spent

    async def spend(self, key: str, window: int, amount: int, most: int) -> int:
        """Add to what was spent under a key, and return the sum. What leads beyond ``most`` may be left uncounted."""
        found = self._window(key)
        async with found.lock:
            if amount > found.left and found.is_fresh and found.spent + amount > most and found.spent > 0:
                return found.spent + amount
            await self._count(found, key, window, amount, (most - found.taken) // _SHARE)
            return found.spent

    async def add(self, key: str, window: int, amount: int) -> int:
        """Add to what was spent under a key, whatever that leads to, and return the sum; less than nothing is given back."""
        found = self._window(key)
        async with found.lock:
            await self._count(found, key, window, amount, 0)
            return found.spent

    async def are_shared(self) -> bool:
        """Whether what is counted is where the settings say: the database is asked for every request in any case."""
        return True

    async def close(self) -> None:
        """Keep nothing: what is left of shares lapses with its window."""

    async def _count(self, found: _Window, key: str, window: int, amount: int, share: int) -> None:
        """Count out of what is left here; where that is too little, take it, or a ``share`` if that is more."""
        found.ends_at = min(found.ends_at, time.monotonic() + window)
        if 0 <= amount <= found.left:
            found.left -= amount
            return
        # What was refused here goes back to all: it may be nearly the whole of a window.
        wanted = amount if amount < 0 else max(amount - found.left, share)
        ends_at = self._clock() + timedelta(seconds=window)
        found.learn(await self._database.write(rates.take, key, wanted, ends_at))
        found.left += wanted - amount

    def _window(self, key: str) -> _Window:
        now = time.monotonic()
        if now > self._swept + _SWEEP:
            self._swept = now
            self._windows = {
                name: each for name, each in self._windows.items() if each.ends_at > now or each.lock.locked()
            }
        found = self._windows.get(key)
        if found is None:
            found = self._windows[key] = _Window()
        return found
