"""Preflights: a file, a service that is to fetch it, and what is known of whether it can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec

from fileferry.engine.preflight import visits
from fileferry.engine.preflight.checks import Check, Outcome, Subject, examine
from fileferry.engine.preflight.rules import Source, consumers
from fileferry.engine.preflight.visits import Visit
from fileferry.errors import InvalidParameter, Unavailable
from fileferry.model import Clock, StoredFile
from fileferry.settings import Settings

_AT_ONCE = 8  # each takes two requests of this server itself


class Preflight(msgspec.Struct, frozen=True):
    """Every check of a file for one service, with where the service says what it wants."""

    consumer: str
    title: str
    sources: tuple[Source, ...]
    url: str
    checks: list[Check]

    @property
    def outcome(self) -> Outcome:
        """Failed where a check is, else unknown where one is."""
        found = {check.outcome for check in self.checks}
        return next((outcome for outcome in (Outcome.FAILED, Outcome.UNKNOWN) if outcome in found), Outcome.PASSED)


class Preflights:
    """Runs preflights; which files somebody may ask about is for those to say who find them."""

    def __init__(
        self, settings: Settings, clock: Clock, visit: Callable[[str], Awaitable[Visit]] = visits.visit
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._visit = visit
        self._under_way = 0

    async def run(self, stored: StoredFile, url: str, name: str, job: timedelta | None = None) -> Preflight:
        """Return how a file at its public URL would do with the service ``name``, whose job takes so long.

        Takes 10 seconds at most. The URL is asked only where the settings name this server's address: no request can send this
        server elsewhere. Raises InvalidParameter for a service that is not known, Unavailable where many are under way.
        """
        consumer = consumers().get(name)
        if consumer is None:
            raise InvalidParameter(f"for must be one of {', '.join(consumers())}.", parameter="for")
        file, version = stored.file, stored.version
        ends = [end for end in (file.expires_at, version.expires_at) if end is not None]
        subject = Subject(
            url=url,
            name=file.name,
            media_type=version.content_type,
            size=version.size,
            ends_at=min(ends, default=None),
            fetches_left=version.fetches_left,
        )
        visit = await self._seen(url)
        checks = examine(subject, consumer, visit, self._clock(), job)
        return Preflight(name, consumer.title, consumer.sources, url, checks)

    async def _seen(self, url: str) -> Visit | None:
        base = self._settings.base_url
        if base is None or not url.startswith(f"{base.rstrip('/')}/"):
            return None
        if self._under_way >= _AT_ONCE:
            raise Unavailable("Many preflights are under way: try again in a moment.", retry_after=1)
        self._under_way += 1
        try:
            return await self._visit(url)
        finally:
            self._under_way -= 1
