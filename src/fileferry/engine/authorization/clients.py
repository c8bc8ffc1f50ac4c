"""The programs that ask for a key by OAuth: who they say they are, and where answers to them may go. None has a secret.

Those that register get an id that says all of them by itself, so that registering leaves nothing here (RFC 7591). Others are
named by the address of a document about them (OAuth Client ID Metadata Document), which is fetched as webhooks are sent.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fileferry.engine.access.links import Links
from fileferry.engine.events import egress
from fileferry.engine.events.egress import Egress, EgressError, Resolve
from fileferry.errors import InvalidParameter
from fileferry.model import Clock
from fileferry.settings import Settings

SCOPES = ("upload", "read", "delete")
"""What can be lent of a key; to administer is for its holder alone."""

PREFIX = "ffo_"
"""What access tokens begin with, so that they are told from keys."""

_ID_PREFIX = "ffc_"
_LARGEST_DOCUMENT = 16 * 1024
_LONGEST_URI = 512
_MOST_URIS = 10
_LONGEST_NAME = 80
_LONGEST_ID = 2048
_MOST_KEPT = 100
_KEPT_FOR = timedelta(minutes=5)
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,63}")
# What a browser would run or show by itself.
_NO_PROGRAMS = frozenset(
    (
        "http",
        "https",
        "javascript",
        "data",
        "vbscript",
        "file",
        "blob",
        "about",
        "filesystem",
        "ftp",
        "ws",
        "wss",
        "view-source",
    )
)


class Client(msgspec.Struct, frozen=True):
    """A program without a secret, with the methods that Authlib asks of one."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...] = ()

    def get_client_id(self) -> str:
        """Return its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return none: every request names it."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return those of the scopes that can be lent; all where none is named."""
        asked = set((scope or "").split())
        return " ".join(each for each in SCOPES if each in asked) or " ".join(SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether answers may go there: to one of its addresses, which on this machine may have any port (RFC 8252 section 7.3)."""
        return redirect_uri in self.redirect_uris or (
            is_redirect_uri(redirect_uri)
            and _is_loopback(redirect_uri)
            and _without_port(redirect_uri) in {_without_port(uri) for uri in self.redirect_uris if _is_loopback(uri)}
        )

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it has this secret: it has none."""
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether it may show itself so."""
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        """Whether it may be answered so."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may ask so."""
        return grant_type in ("authorization_code", "refresh_token")


class Document(msgspec.Struct, frozen=True):
    """What a program says of itself, in a document or when it registers; other members mean nothing here."""

    redirect_uris: list[str]
    client_id: str | None = None
    client_name: str | None = None
    token_endpoint_auth_method: str | None = None


class Clients:
    """Finds programs by their ids."""

    def __init__(self, links: Links, settings: Settings, clock: Clock, resolve: Resolve = egress.resolve) -> None:
        self._links = links
        self._networks = egress.networks_of(settings)
        self._clock = clock
        self._resolve = resolve
        self._kept: dict[str, tuple[datetime, Client]] = {}

    def register(self, document: Document) -> Client:
        """Return a program with a new id, which says what it has said; raises InvalidParameter."""
        name, uris = _name(document.client_name), _redirect_uris(document.redirect_uris)
        said = base64.urlsafe_b64encode(msgspec.json.encode([name, uris])).rstrip(b"=").decode()
        client_id = f"{_ID_PREFIX}{said}.{self._links.seal('client', said)}"
        if len(client_id) > _LONGEST_ID:
            raise InvalidParameter("The redirect URIs are too long together.", parameter="redirect_uris")
        return Client(client_id, name, tuple(uris))

    def is_remote(self, client_id: str) -> bool:
        """Whether an id is the address of a document that has to be fetched now."""
        return client_id.startswith("https://") and self._remembered(client_id) is None

    def bare(self, client_id: str) -> Client | None:
        """Return a program that was let in before, by its id alone: for its tokens it matters only that it is the same."""
        return self._registered(client_id) if client_id.startswith(_ID_PREFIX) else Client(client_id, "")

    async def find(self, client_id: str) -> Client:
        """Return a program; raises InvalidParameter for an id that is none, and for a document that cannot be had or used."""
        if not client_id.startswith("https://"):
            if (registered := self._registered(client_id)) is not None:
                return registered
            raise InvalidParameter("The program is not known here: let it register again.", parameter="client_id")
        if (kept := self._remembered(client_id)) is not None:
            return kept
        client = await self._fetched(client_id)
        while len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[client_id] = (self._clock() + _KEPT_FOR, client)
        return client

    def _remembered(self, client_id: str) -> Client | None:
        until, client = self._kept.get(client_id, (None, None))
        return client if until is not None and until > self._clock() else None

    def _registered(self, client_id: str) -> Client | None:
        said, _, mac = client_id.removeprefix(_ID_PREFIX).partition(".")
        if not client_id.startswith(_ID_PREFIX) or not self._links.is_sealed("client", said, mac):
            return None
        name, uris = msgspec.json.decode(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
        return Client(client_id, name, tuple(uris))

    async def _fetched(self, client_id: str) -> Client:
        refuse_document_address(client_id)
        try:
            async with Egress(self._networks, self._resolve) as sender:
                page = await sender.ask(
                    "GET",
                    client_id,
                    {"accept": "application/json", "user-agent": "fileferry", "accept-encoding": "identity"},
                    most=_LARGEST_DOCUMENT,
                )
        except EgressError as error:
            raise _no_document("could not be fetched") from error
        if page.status != 200 or len(page.body) > _LARGEST_DOCUMENT:
            raise _no_document("is not there, leads elsewhere, or is too long")
        try:
            document = msgspec.json.decode(page.body, type=Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _no_document("is not the JSON of one") from error
        if document.client_id != client_id:
            raise _no_document("is about another program")
        if document.token_endpoint_auth_method not in (None, "none"):
            raise _no_document("is of a program with a secret, which cannot be used here")
        return Client(client_id, _name(document.client_name), tuple(_redirect_uris(document.redirect_uris)))


def is_redirect_uri(uri: str) -> bool:
    """Whether answers may be sent to an address: https, a port of this machine, or a scheme that a program has for itself."""
    if not 1 <= len(uri) <= _LONGEST_URI or not uri.isascii() or not uri.isprintable() or " " in uri or "\\" in uri:
        return False
    try:
        parts = urlsplit(uri)
        is_whole = not parts.fragment and "#" not in uri and parts.username is None and parts.port != 0
    except ValueError:
        return False
    # The page's policy names the host: nothing may end a word there.
    if not is_whole or not _HOST.fullmatch(parts.netloc):
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme == "http":
        return _is_loopback(uri)
    return parts.scheme not in _NO_PROGRAMS and _SCHEME.fullmatch(parts.scheme) is not None


def refuse_document_address(client_id: str) -> None:
    """Raise InvalidParameter for what cannot be the address of a document about a program."""
    try:
        parts = urlsplit(client_id)
        is_usable = parts.scheme == "https" and bool(parts.hostname) and len(parts.path) > 1 and parts.username is None
        is_usable &= not parts.fragment and "#" not in client_id and parts.port != 0
    except ValueError:
        is_usable = False
    is_plain = client_id.isascii() and client_id.isprintable() and " " not in client_id and "\\" not in client_id
    if not is_usable or not is_plain or len(client_id) > _LONGEST_URI or {".", ".."} & set(parts.path.split("/")):
        raise InvalidParameter("client_id is no address of a document about a program.", parameter="client_id")


def _is_loopback(uri: str) -> bool:
    parts = urlsplit(uri)
    try:
        is_here = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
    return parts.scheme == "http" and is_here


def _without_port(uri: str) -> tuple[Any, ...]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.path, parts.query


def _redirect_uris(uris: Sequence[str]) -> list[str]:
    if not 1 <= len(uris) <= _MOST_URIS or not all(is_redirect_uri(uri) for uri in uris):
        raise InvalidParameter(
            f"redirect_uris must be 1 to {_MOST_URIS} addresses of https, of this machine, or of a program's own scheme.",
            parameter="redirect_uris",
        )
    return list(uris)


def _name(said: str | None) -> str:
    shown = "".join(letter for letter in said or "" if letter.isprintable())[:_LONGEST_NAME].strip()
    return shown or "A program without a name"


def _no_document(what: str) -> InvalidParameter:
    return InvalidParameter(f"The document about the program {what}.", parameter="client_id")
