"""By what right a request sends its body: looked up again while a long one comes, for a key may be revoked meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from litestar import Request

from fileferry.engine.access import policy
from fileferry.model import Clock

LENT = "fileferry.lent"
"""What a request's scope has that a tool makes for a program with an access token: elsewhere such a token opens nothing."""


class _Standing:
    def __init__(self, look: Callable[[], Awaitable[object]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._judged_at: datetime = clock()

    async def refuse_lapsed(self) -> None:
        now = self._clock()
        if policy.has_lapsed(self._judged_at, now):
            await self._look()
            self._judged_at = now


def begin_standing(request: Request[Any, Any, Any], look: Callable[[], Awaitable[object]], clock: Clock) -> None:
    """Note that the right of a request was looked up just now; ``look`` does so again, and raises where it has lapsed."""
    request.state.standing = _Standing(look, clock)


async def refuse_lapsed(request: Request[Any, Any, Any]) -> None:
    """Look the right of a request up again if that was done over a second ago; raises what its ``look`` raises."""
    standing: _Standing | None = request.state.get("standing")
    if standing is not None:
        await standing.refuse_lapsed()
