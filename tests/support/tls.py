"""One TLS context for every httpx client of a process: to make one costs 20 ms of computing, and no test speaks TLS."""

from __future__ import annotations

import functools

from httpx._transports import default


def share_one_context() -> None:
    """Give every client that httpx makes from now on the same context, made here."""
    default.create_ssl_context = functools.cache(default.create_ssl_context)  # type: ignore[attr-defined]
    default.HTTPTransport().close()
