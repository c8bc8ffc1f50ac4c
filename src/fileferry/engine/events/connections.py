"""The connections that requests to strangers are sent on, loaded with the first of them: most servers never send one.

What a host's addresses are, and which may be connected to, is for ``egress`` to say.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import certifi
import httpcore

from fileferry.absent import absent

with absent("pygments", "rich"):  # for a command of its own, which nobody runs here; more than all the rest of it
    import httpx

# All that may come in answer to a request, interim answers, headers and the framing of the body too, and what is read of it
# before others have their turn: parsing costs far more than sending.
_MOST_READ = 64 * 1024
_READ_AT_ONCE = 4 * 1024
# Receivers commonly close an idle connection after five seconds or more; one that was just closed would fail the next request.
_IDLE_SECONDS = 2.0

Find = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host that may be connected to, one at least; raises what the request fails with."""


def open_pool(find: Find) -> httpcore.AsyncConnectionPool:
    """Return connections to what ``find`` permits. Takes some 0.1 s and 4 MiB, most of it for certificates."""
    return httpcore.AsyncConnectionPool(
        ssl_context=trusting(),
        max_connections=None,
        max_keepalive_connections=32,
        keepalive_expiry=_IDLE_SECONDS,
        network_backend=_CheckedBackend(find),
    )


def target_of(url: str) -> httpcore.URL:
    """Return where a request for ``url`` goes, a host in other letters than ASCII by the name that it is registered by."""
    parsed = httpx.URL(url)
    return httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


def trusting() -> ssl.SSLContext:
    """Trust what the system trusts (``SSL_CERT_FILE`` included), and the public authorities where it knows none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to permitted addresses only. What was checked is what is connected to; TLS still asks for the host's name."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = await self._find(host, port)
        for address in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _Bounded(await self._backend.connect_tcp(address, port, timeout, local_address, socket_options))
        return _Bounded(await self._backend.connect_tcp(last, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Bounded(httpcore.AsyncNetworkStream):
    """A connection on which no request is answered at great length."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._came = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._came >= _MOST_READ:
            raise httpcore.RemoteProtocolError(f"it has more than {_MOST_READ} bytes")
        read = await self._stream.read(min(max_bytes, _READ_AT_ONCE), timeout)
        self._came += len(read)
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._came = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Bounded(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
