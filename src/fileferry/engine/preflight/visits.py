"""Asking our own public URL as a service would: HEAD, and GET of one byte. Neither counts as a fetch of the file.

It goes to the address of the settings and nowhere else: not where a redirect leads, nor to the host that a request names.
"""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit

import msgspec

from fileferry.engine.events import egress
from fileferry.engine.events.egress import CertificateRefused, Egress, EgressError, Page, Resolve

SECONDS = 10.0
"""How long one visit may take in all."""

# The address is the operator's own, and may well be private.
_ANYWHERE = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0"))
_NAME = "fileferry-preflight"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a URL. ``addresses`` are None where the host was not looked up, the answers where none came.

    ``error`` says why, without words that a client chose.
    """

    addresses: tuple[str, ...] | None = None
    head: Page | None = None
    ranged: Page | None = None
    error: str | None = None
    is_certificate_refused: bool = False


async def visit(url: str, resolve: Resolve = egress.resolve) -> Visit:
    """Look at a URL of ours from here."""
    seen = Visit(addresses=literal_address(url))
    try:
        async with asyncio.timeout(SECONDS), Egress(_ANYWHERE, resolve) as sender:
            if seen.addresses is None:
                seen = Visit(addresses=await _addresses(url, resolve))
            head = await sender.ask("HEAD", url, {"user-agent": _NAME})
            ranged = await sender.ask("GET", url, {"user-agent": _NAME, "range": "bytes=0-0"})
            return msgspec.structs.replace(seen, head=head, ranged=ranged)
    except CertificateRefused:
        return msgspec.structs.replace(seen, error="Its certificate is not trusted.", is_certificate_refused=True)
    except TimeoutError:
        return msgspec.structs.replace(seen, error=f"No answer within {SECONDS:.0f} seconds.")
    except EgressError as error:
        return msgspec.structs.replace(seen, error=str(error))


def literal_address(url: str) -> tuple[str, ...] | None:
    """Return the address that a URL names without a host's name; None where it names a host."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return ("127.0.0.1",)
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return None


async def _addresses(url: str, resolve: Resolve) -> tuple[str, ...]:
    parts = urlsplit(url)
    try:
        return tuple(await resolve(parts.hostname or "", parts.port or 443))
    except (OSError, UnicodeError):
        return ()
