"""When a failed request is worth repeating, how long to wait first, and when the connection is to be called unreliable.

Decides only; the clients do the waiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from fileferry.client.failures import ConnectionFailed, SourceChanged, UnexpectedAnswer
from fileferry.errors import FerryError, Retry

AWAY = {502, 503, 504}
"""Statuses by which a server, or what stands before it, says that it is away."""
CUTS = 2
"""Requests cut off in a row that make a connection an unreliable one."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one call is repeated, after exponential backoff with full jitter that is never below Retry-After."""

    attempts: int = 5
    """Attempts in a row without progress, the first included."""
    first_delay: float = 0.5
    """Longest wait before the second attempt, in seconds; it doubles with each attempt."""
    longest_delay: float = 30.0
    """Longest wait that the backoff reaches, in seconds."""
    patience: float = 120.0
    """Seconds that the waits of one call may take together without progress; a longer Retry-After raises the error at once."""
    outage: float = 0.0
    """Seconds without progress for which a server that cannot be reached is tried again, however many attempts that takes."""
    on_outage: Callable[[float], object] | None = None
    """Called before each wait of an outage with the seconds that it may still last; by any thread."""
    on_wait: Callable[[FerryError, float], object] | None = None
    """Called before every other wait with what failed and the seconds to the next attempt; by any thread."""

    def begin(self) -> Attempts:
        """Return the attempts of one call."""
        return Attempts(self)


PATIENT = RetryPolicy()
"""What a client does unless told otherwise."""


class Attempts:
    """The attempts of one call."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._row = self._made = self._cuts = 0
        self._waited = 0.0
        self._failing_since: float | None = None
        self.answer_lost = False
        """Whether an earlier attempt may have succeeded without its answer arriving."""

    def progressed(self) -> None:
        """Count anew: the last attempt brought the call further."""
        self._row = self._made = self._cuts = 0
        self._waited = 0.0
        self._failing_since = None

    @property
    def is_unreliable(self) -> bool:
        """Whether requests were cut off again and again: smaller ones may get through."""
        return self._cuts >= CUTS

    def delay_after(self, error: FerryError, *, repeatable: bool, final: tuple[type[FerryError], ...] = ()) -> float:
        """Return the seconds to wait before the next attempt, or raise ``error`` when there must be none.

        ``repeatable`` says whether doing the request twice does what doing it once does: only then is a request
        repeated whose first outcome nobody knows. What is ``final``, or a source that changes, is not tried again.
        """
        if isinstance(error, (SourceChanged, *final)):
            raise error
        uncertain = error.sent if isinstance(error, ConnectionFailed) else isinstance(error, UnexpectedAnswer)
        self.answer_lost |= uncertain
        if error.retry is Retry.NEVER or (uncertain and not repeatable):
            raise error
        self._row += 1
        ceiling = min(self._policy.longest_delay, self._policy.first_delay * 2 ** min(self._row - 1, 32))
        delay = max(random.uniform(0, ceiling), error.retry_after or 0.0)  # noqa: S311 (spreads load, guards nothing)
        self._count_cut(error)
        if self._outlasts(error, delay):
            return delay
        self._made += 1
        self._waited += delay
        if self._made >= self._policy.attempts or self._waited > self._policy.patience:
            raise error
        if self._policy.on_wait:
            self._policy.on_wait(error, delay)
        return delay

    def _count_cut(self, error: FerryError) -> None:
        if not isinstance(error, ConnectionFailed):
            self._cuts = 0
        elif error.sent:
            self._cuts += 1

    def _outlasts(self, error: FerryError, delay: float) -> bool:
        """Return whether this is an outage that may last on, and say so."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        left = self._failing_since + self._policy.outage - time.monotonic() - delay
        if left < 0 or not (isinstance(error, ConnectionFailed) or error.status in AWAY):
            return False
        if self._policy.on_outage:
            self._policy.on_outage(left + delay)
        return True
