"""Telling clients how it stands with their rates: ``RateLimit`` and ``RateLimit-Policy`` on whatever answers them.

Source: draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

from collections.abc import Iterable

from fileferry.engine.access.rates import Standing, listen
from fileferry.telemetry import Application, Message, Receive, Send


class RateHeaders:
    """ASGI middleware: adds the headers to every answer, a refusal or not, of a request that was counted."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Wrap one request; anything that is not HTTP passes through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        standings = listen()

        async def telling_send(message: Message) -> None:
            if standings and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_headers(standings.values())]
            await send(message)

        await self._application(scope, receive, telling_send)


def _headers(standings: Iterable[Standing]) -> list[tuple[bytes, bytes]]:
    policies = ", ".join(f'"{one.name}";q={one.quota}{_unit(one)};w={one.window}' for one in standings)
    stands = ", ".join(f'"{one.name}";r={one.remaining};t={one.reset}' for one in standings)
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", stands.encode())]


def _unit(standing: Standing) -> str:
    return ';qu="content-bytes"' if standing.resource == "bytes" else ""
