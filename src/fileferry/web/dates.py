"""The times that answers are sent at, and what they say was changed when: both by one clock, so that the second is never later.

The server below would write a ``Date`` that may be older than a file made just now.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from email.utils import formatdate

from fileferry.model import Clock
from fileferry.telemetry import Application, Message, Receive, Send


@functools.lru_cache(maxsize=8)
def _written(second: int) -> str:
    return formatdate(second, usegmt=True)


def http_date(moment: datetime) -> str:
    """Return a time as headers have it, in whole seconds (RFC 9110 section 5.6.7)."""
    return _written(int(moment.timestamp()))


def last_modified(changed_at: datetime, clock: Clock) -> str:
    """Return the value of ``Last-Modified``: never later than the ``Date`` of the same answer (RFC 9110 section 8.8.2.1)."""
    return http_date(min(changed_at, clock()))


class Dated:
    """ASGI middleware: writes ``Date`` on every answer (RFC 9110 section 6.6.1)."""

    def __init__(self, application: Application, clock: Clock) -> None:
        self._application = application
        self._clock = clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Wrap one request; anything that is not HTTP passes through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def dated_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = http_date(self._clock()).encode()
                message["headers"] = [(b"date", date), *message.get("headers", ())]
            await send(message)

        await self._application(scope, receive, dated_send)


def now() -> str:
    """Return the ``Date`` of an answer that no application makes."""
    return http_date(datetime.now(UTC))
