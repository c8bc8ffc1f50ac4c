"""Requests to addresses that strangers chose: the address is checked when the connection is made, and nothing is followed.

Knows nothing of what is sent and why.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import certifi
import httpcore
import msgspec
import structlog

from fileferry.settings import Network, Settings, networks

SECONDS = 20.0
"""How long a request may take in all."""
CONNECT_SECONDS = 5.0
"""How long one attempt to connect may take."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host for a port; raises OSError where it has none."""

_MOST_ADDRESSES = 4
_LARGEST_ANSWER = 16 * 1024
# All that may come in answer to a request, interim answers, headers and the framing of the body too, and what is read of it
# before others have their turn: parsing costs far more than sending.
_MOST_READ = 64 * 1024
_READ_AT_ONCE = 4 * 1024
# Receivers commonly close an idle connection after five seconds or more; one that was just closed would fail the next request.
_IDLE_SECONDS = 2.0
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_TRANSLATED_V6 = ipaddress.IPv6Network("64:ff9b::/96")
_SPECIAL_V4 = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
_DOCUMENTATION_V6 = ipaddress.IPv6Network("3fff::/20")
_log = structlog.get_logger(__name__)


class EgressError(Exception):
    """A request that got no answer; the message says why, without an address that the asker did not know."""


class AddressRefused(EgressError):
    """The host has no address that requests may go to."""


class Answer(msgspec.Struct, frozen=True):
    """What is kept of an answer: its status, and its Retry-After as it was sent."""

    status: int
    retry_after: str | None


def networks_of(settings: Settings) -> tuple[Network, ...]:
    """Return the private networks that webhooks may be sent to; raises SettingsError for what is no network."""
    return networks("webhook_networks", settings.webhook_networks)


def is_permitted(address: str, networks: Iterable[Network]) -> bool:
    """Whether a connection to an address may be made: it is on the public Internet, or in one of ``networks``.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is judged as that one.
    """
    judged = _unwrapped(ipaddress.ip_address(address))
    return _is_public(judged) or any(judged in network for network in networks)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host as the system knows them; raises OSError where there are none."""
    asked = asyncio.get_running_loop().run_in_executor(_resolvers, _addresses, host, port)
    return await asked


class Egress:
    """Sends requests while it is entered; ``async with Egress(networks) as egress``."""

    def __init__(self, networks: Sequence[Network], resolve: Resolve = resolve) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trusting(),
            max_connections=None,
            max_keepalive_connections=32,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_CheckedBackend(networks, resolve),
        )

    async def __aenter__(self) -> Egress:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post ``body`` and return the answer, a redirect too; raises EgressError where none comes within ``SECONDS``."""
        answer: Answer | None = None
        try:
            async with asyncio.timeout(SECONDS), self._request(url, headers, body) as response:
                answer = Answer(response.status, _header(response, b"retry-after"))
                await _drain(response)
        except TimeoutError:
            if answer is None:
                raise EgressError(f"No answer within {SECONDS:.0f} seconds.") from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise EgressError(f"No connection: {str(error).rstrip('.') or 'no answer'}.") from error
        except (httpcore.NetworkError, OSError) as error:
            if answer is None:
                raise EgressError("The connection broke.") from error
        except httpcore.ProtocolError as error:
            if answer is None:
                raise EgressError(f"No HTTP answer: {str(error).rstrip('.')}.") from error
        assert answer is not None
        return answer

    def _request(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> contextlib.AbstractAsyncContextManager[httpcore.Response]:
        import httpx  # loaded with the first delivery: it would make every start slower

        parsed = httpx.URL(url)
        target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
        # httpcore adds a Host header; it keeps no cookies, follows nothing, and knows no proxies of the environment.
        return self._pool.stream(
            "POST",
            target,
            headers=list(headers.items()),
            content=body,
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        )


def _trusting() -> ssl.SSLContext:
    """Trust what the system trusts (``SSL_CERT_FILE`` included), and the public authorities where it knows none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to permitted addresses only. What was checked is what is connected to; TLS still asks for the host's name."""

    def __init__(self, networks: Sequence[Network], resolve: Resolve) -> None:
        self._networks = networks
        self._resolve = resolve
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = await self._permitted_addresses(host, port)
        for address in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _Bounded(await self._backend.connect_tcp(address, port, timeout, local_address, socket_options))
        return _Bounded(await self._backend.connect_tcp(last, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("Sockets of this machine are not connected to.")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    async def _permitted_addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the host {host} is not known") from error
        permitted = [address for address in found if is_permitted(address, self._networks)]
        if not permitted:
            _log.warning("address_refused", host=host, addresses=list(found))
            raise AddressRefused(f"Refused: {host} is not on the public Internet, nor in FILEFERRY_WEBHOOK_NETWORKS.")
        return permitted[:_MOST_ADDRESSES]


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


# Threads of their own: a name server that does not answer must not hold up others who need a thread.
_resolvers = ThreadPoolExecutor(8, thread_name_prefix="resolve")


def _addresses(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED_V6:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: Address) -> bool:
    # "Global" in the registries' sense includes multicast, and some addresses of transition mechanisms.
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    return address in _GLOBAL_V6 and address not in _DOCUMENTATION_V6


def _header(response: httpcore.Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), None)


async def _drain(response: httpcore.Response) -> None:
    """Read a short body, so that the connection can be used again; a longer one ends it."""
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > _LARGEST_ANSWER:
            return
