"""Requests to addresses that strangers chose: the address is checked when the connection is made, and nothing is followed.

Knows nothing of what is sent and why.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from fileferry.logs import get_logger
from fileferry.settings import Network, Settings, networks

if TYPE_CHECKING:
    import httpcore

SECONDS = 20.0
"""How long a request may take in all."""
CONNECT_SECONDS = 5.0
"""How long one attempt to connect may take."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host for a port; raises OSError where it has none."""

_MOST_ADDRESSES = 4
_LARGEST_ANSWER = 16 * 1024
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_TRANSLATED_V6 = ipaddress.IPv6Network("64:ff9b::/96")
_SPECIAL_V4 = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
_DOCUMENTATION_V6 = ipaddress.IPv6Network("3fff::/20")
_log = get_logger(__name__)


class EgressError(Exception):
    """A request that got no answer; the message says why, without an address that the asker did not know."""


class AddressRefused(EgressError):
    """The host has no address that requests may go to."""


class CertificateRefused(EgressError):
    """The host has shown no certificate that is trusted."""


class Page(msgspec.Struct, frozen=True):
    """An answer: its status, its headers by their names in lower case, and the beginning of its body as far as was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


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
        self._networks = networks
        self._resolve = resolve
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Egress:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post ``body`` and return the answer, a redirect too; raises EgressError where none comes within ``SECONDS``."""
        page = await self.ask("POST", url, headers, body)
        return Answer(page.status, page.headers.get("retry-after"))

    async def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, most: int = 0) -> Page:
        """Return the answer, a redirect too, with ``most`` bytes of its body and one more where there are any.

        Raises EgressError where none comes within ``SECONDS``, or no such body where one is wanted.
        """
        pool = await self._opened()
        import httpcore  # the pool has loaded these two

        from fileferry.engine.events.connections import target_of

        # httpcore adds a Host header; it keeps no cookies, follows nothing, and knows no proxies of the environment.
        options: dict[str, Any] = {
            "headers": list(headers.items()),
            "content": body,
            "extensions": {"timeout": {"connect": CONNECT_SECONDS}},
        }
        answer: Page | None = None
        try:
            async with asyncio.timeout(SECONDS), pool.stream(method, target_of(url), **options) as response:
                answer = None if most else Page(response.status, _headers(response))
                answer = Page(response.status, _headers(response), await _begun(response, most))
        except TimeoutError:
            if answer is None:
                raise EgressError(f"No answer within {SECONDS:.0f} seconds.") from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            kind = CertificateRefused if "CERTIFICATE_VERIFY_FAILED" in str(error) else EgressError
            raise kind(f"No connection: {str(error).rstrip('.') or 'no answer'}.") from error
        except (httpcore.NetworkError, OSError) as error:
            if answer is None:
                raise EgressError("The connection broke.") from error
        except httpcore.ProtocolError as error:
            if answer is None:
                raise EgressError(f"No HTTP answer: {str(error).rstrip('.')}.") from error
        assert answer is not None
        return answer

    async def _opened(self) -> httpcore.AsyncConnectionPool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncio.to_thread(self._open)  # others do not wait while it is loaded
        return self._pool

    def _open(self) -> httpcore.AsyncConnectionPool:
        from fileferry.engine.events import connections

        return connections.open_pool(self._permitted_addresses)

    async def _permitted_addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise EgressError(f"No connection: the host {host} is not known.") from error
        permitted = [address for address in found if is_permitted(address, self._networks)]
        if not permitted:
            _log.warning("address_refused", host=host, addresses=list(found))
            raise AddressRefused(f"Refused: {host} is not on the public Internet, nor in FILEFERRY_WEBHOOK_NETWORKS.")
        return permitted[:_MOST_ADDRESSES]


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


def _headers(response: httpcore.Response) -> dict[str, str]:
    """Return the first header of each name."""
    found: dict[str, str] = {}
    for name, value in response.headers:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


async def _begun(response: httpcore.Response, most: int) -> bytes:
    """Read a short body, so that the connection can be used again; a longer one ends it. Return ``most`` bytes and one more."""
    kept, size = bytearray(), 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        kept += chunk[: max(0, most + 1 - len(kept))]
        if size > max(_LARGEST_ANSWER, most):
            break
    return bytes(kept)
