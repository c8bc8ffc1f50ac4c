"""When a failed request is worth repeating, and how long to wait first. Decides only; the clients do the waiting."""

from __future__ import annotations

import random
from dataclasses import dataclass

from fileferry.client.failures import ConnectionFailed, SourceChanged, UnexpectedAnswer
from fileferry.errors import FerryError, Retry


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
    """Seconds that all waits of one call may take together; a longer Retry-After raises the error at once."""

    def begin(self) -> Attempts:
        """Return the attempts of one call."""
        return Attempts(self)


PATIENT = RetryPolicy()
"""What a client does unless told otherwise."""


class Attempts:
    """The attempts of one call."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._made = 0
        self._waited = 0.0
        self.answer_lost = False
        """Whether an earlier attempt may have succeeded without its answer arriving."""

    def progressed(self) -> None:
        """Count anew: the last attempt brought the call further. The patience stays spent."""
        self._made = 0

    def delay_after(self, error: FerryError, *, repeatable: bool, final: tuple[type[FerryError], ...] = ()) -> float:
        """Return the seconds to wait before the next attempt, or raise ``error`` when there must be none.

        ``repeatable`` says whether doing the request twice does what doing it once does: only then is a request
        repeated whose first outcome nobody knows. What is ``final``, or a source that changes, is not tried again.
        """
        self._made += 1
        if isinstance(error, (SourceChanged, *final)):
            raise error
        uncertain = error.sent if isinstance(error, ConnectionFailed) else isinstance(error, UnexpectedAnswer)
        self.answer_lost |= uncertain
        if error.retry is Retry.NEVER or (uncertain and not repeatable) or self._made >= self._policy.attempts:
            raise error
        ceiling = min(self._policy.longest_delay, self._policy.first_delay * 2 ** (self._made - 1))
        delay = max(random.uniform(0, ceiling), error.retry_after or 0.0)  # noqa: S311 (spreads load, guards nothing)
        self._waited += delay
        if self._waited > self._policy.patience:
            raise error
        return delay
