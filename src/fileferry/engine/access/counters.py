"""What was spent so far, as totals by key: counted in this process, or in Redis for all of them together. Knows no limits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from prometheus_client import Gauge

from fileferry.logs import get_logger
from fileferry.settings import SettingsError

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool

_PREFIX = "fileferry"
_MOST_CONNECTIONS = 50
# How long a request may wait for Redis, and how long it is left alone after that was in vain.
_PATIENCE = 1.0
_PAUSE = 1.0
_SWEEP = 10.0

ALONE = Gauge(
    "fileferry_rates_alone",
    "1 while Redis is away and each process counts rates for itself.",
    multiprocess_mode="livemax",
)

_log = get_logger(__name__)


class Counters:
    """Totals that are forgotten some time after their window. While Redis is away this process counts for itself, from zero."""

    def __init__(self, redis_url: str | None) -> None:
        self._own = Memory()
        self._failures = _failures() if redis_url is not None else ()
        self._pool = None if redis_url is None else _connections(redis_url)
        self._shared = None if self._pool is None else _storage(self._pool)
        self._is_alone = False
        self._next_try = 0.0

    async def get(self, key: str) -> int:
        """Return what was spent under a key; 0 for one that is not known."""
        return await self._ask(lambda storage: storage.get(key))

    async def spend(self, key: str, window: int, amount: int, _most: int) -> int:
        """Add to what was spent under a key, and return the sum. What leads beyond ``most`` is counted too."""
        return await self.add(key, window, amount)

    async def add(self, key: str, window: int, amount: int) -> int:
        """Add to what was spent under a key, and return the sum; a new one is forgotten after ``window`` seconds."""
        return await self._ask(lambda storage: storage.incr(key, window, amount))

    async def are_shared(self) -> bool:
        """Whether what is counted is where the settings say: false while Redis is away."""
        await self.get("")
        return not self._is_alone

    async def close(self) -> None:
        """Let go of all connections."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _ask(self, question: Callable[[Storage], Awaitable[int]]) -> int:
        if self._shared is None:
            return await question(self._own)
        if self._is_alone:
            if time.monotonic() < self._next_try:
                return await question(self._own)
            self._next_try = time.monotonic() + _PAUSE  # one tries, and the others need not wait for it
        try:
            answer = await question(self._shared)
        except self._failures as error:
            self._go_alone(error)
            return await question(self._own)
        if self._is_alone:
            self._is_alone = False
            ALONE.set(0)
            _log.info("rates_shared_again")
        return answer

    def _go_alone(self, error: Exception) -> None:
        self._next_try = time.monotonic() + _PAUSE
        if not self._is_alone:
            self._is_alone = True
            ALONE.set(1)
            _log.warning("rates_not_shared", reason=type(error).__name__)


class Memory(MemoryStorage):
    """Counters of this process. Those of the library are all looked through whenever one counts: 0.9 ms where there are 10,000."""

    def __init__(self) -> None:
        super().__init__()
        self._swept = time.time()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add ``amount``, and return the sum; a new counter is forgotten after ``expiry`` seconds."""
        now = time.time()
        if now > self._swept + _SWEEP:
            self._sweep(now)
        total = self.storage[key] = await self.get(key) + amount
        self.expirations.setdefault(key, now + expiry)
        return total

    def _sweep(self, now: float) -> None:
        self._swept = now
        for key in [key for key, end in self.expirations.items() if end <= now]:
            del self.storage[key], self.expirations[key]


def _failures() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    return RedisError, OSError


def _connections(url: str) -> BlockingConnectionPool:
    # Loaded where it is used only: it would make every start slower.
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as Lost

    try:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=_MOST_CONNECTIONS,
            timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            # Redis may have closed, or lost with its end, a connection that waits here: the second attempt opens another.
            retry=Retry(NoBackoff(), 1, supported_errors=(Lost,)),
        )
    except ValueError as error:
        raise SettingsError("FILEFERRY_REDIS_URL: write it as redis://HOST:PORT/0, rediss:// or unix://.") from error


def _storage(pool: BlockingConnectionPool) -> RedisStorage:
    return RedisStorage("async+redis://", implementation="redispy", key_prefix=_PREFIX, connection_pool=pool)  # type: ignore[arg-type]
