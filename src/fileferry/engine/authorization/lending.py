"""Lending keys to programs: what somebody is asked, what is allowed, the tokens of it, and their end.

A program has no more than the key has, and only as long: each use looks the key up, by the digest of the secret that was shown.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from sqlalchemy import Connection

from fileferry.db import lent_keys
from fileferry.db.database import Database
from fileferry.engine.access import audit, policy
from fileferry.engine.access.key_uses import KeyUses
from fileferry.engine.authorization.clients import SCOPES, Client, Clients
from fileferry.errors import Forbidden, InvalidParameter, NotFound, Unauthorized
from fileferry.model import Clock, LentKey, Principal, Scope

if TYPE_CHECKING:
    from fileferry.engine.authorization.protocol import Answer, Fields


class Asked(msgspec.Struct, frozen=True):
    """What a program asks for, once it may be shown to somebody: what of a key's scopes, and where the answer goes."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None


class Lending:
    """What the keys of all organizations are lent to."""

    def __init__(self, database: Database, uses: KeyUses, clients: Clients, clock: Clock) -> None:
        self._database = database
        self._uses = uses
        self.clients = clients
        self._clock = clock
        self._protocol: ModuleType | None = None

    @staticmethod
    def is_possible() -> bool:
        """Whether what keeps the protocol is installed."""
        return find_spec("authlib") is not None

    async def ask(self, fields: Fields, resource: str) -> Asked:
        """Return what a program asks for; raises InvalidParameter for what must not be answered to any address."""
        client = await self._client(fields)
        return await self._database.read(await self._asked(), fields, client, resource)

    async def allow(
        self, fields: Fields, resource: str, principal: Principal, scopes: tuple[str, ...], issuer: str
    ) -> str:
        """Lend a principal's key to the program that asks; return the address to go on to, with a code that is good for minutes.

        Raises Forbidden without a scope that the key has, and InvalidParameter.
        """
        client, protocol = await self._client(fields), await self._loaded()
        chosen = tuple(Scope(scope) for scope in SCOPES if scope in scopes)
        key = policy.lent_to(principal.key, chosen)
        if not key.scopes:
            raise Forbidden("Choose something that the program may do, and that the key may do.")
        lender = msgspec.structs.replace(principal, key=key, lent=key.scopes)
        now = self._clock()

        def write(conn: Connection) -> Answer:
            server, request = protocol.Server(conn, client, resource, now), protocol.Request("GET", fields)
            _examined(protocol, server, request)
            grant = server.get_consent_grant(request, lender)
            answer: Answer = server.create_authorization_response(request, lender, grant)
            self._record(conn, "grant.created", lender.organization.id, key.id, client.name, " ".join(key.scopes))
            return answer

        status, body, headers = await self._database.grow(write)
        if status != 302:
            raise InvalidParameter(str(body))
        return with_query(dict(headers)["Location"], iss=issuer)

    async def deny(self, asked: Asked, issuer: str) -> str:
        """Return the address to go on to where somebody has said no."""
        said = {"error": "access_denied", **({"state": asked.state} if asked.state else {})}
        return with_query(asked.redirect_uri, **said, iss=issuer)

    async def token(self, fields: Fields, resource: str) -> Answer:
        """Answer a request for tokens, by a code or by a refresh token (RFC 6749)."""
        return await self._answer(fields, resource, lambda server, request: server.create_token_response(request))

    async def end(self, fields: Fields, resource: str) -> Answer:
        """Answer the request of a program to revoke its tokens (RFC 7009)."""
        return await self._answer(
            fields, resource, lambda server, request: server.create_endpoint_response("revocation", request)
        )

    async def authenticate(self, token: str) -> Principal:
        """Return who acts with an access token; raises Unauthorized."""
        protocol = await self._loaded()
        principal = await self._database.lookup(self._find, protocol, protocol.digest(token))
        self._uses.note(principal.key.id, self._clock())
        return principal

    async def list(self, principal: Principal) -> list[LentKey]:
        """Return what the principal's key is lent to; for an administrator all keys of the organization."""
        is_admin = Scope.ADMIN in principal.key.scopes and not policy.is_confined(principal)
        organization_id = principal.organization.id if is_admin else None
        return await self._database.read(lent_keys.list_living, principal.key.id, organization_id, self._clock())

    async def revoke(self, principal: Principal, lent_id: str) -> None:
        """End one that ``list`` shows, with its tokens; raises NotFound."""
        lent = next((lent for lent in await self.list(principal) if lent.id == lent_id), None)
        if lent is None:
            raise NotFound("There is no such program.")

        def store(conn: Connection) -> None:
            lent_keys.delete_lent(conn, lent.id)
            self._record(conn, "grant.revoked", lent.organization_id, lent.key_id, lent.client_name, lent.scopes)

        await self._database.free(store)

    def _record(self, conn: Connection, type: str, organization_id: str, key_id: str, name: str, scopes: str) -> None:
        audit.record(conn, type, organization_id, key_id, self._clock(), name=name, scopes=scopes.split())

    async def _client(self, fields: Fields) -> Client:
        client_id = next((value for name, value in fields if name == "client_id"), "")
        return await self.clients.find(client_id)

    async def _asked(self) -> Any:
        protocol = await self._loaded()

        def read(conn: Connection, fields: Fields, client: Client, resource: str) -> Asked:
            server, request = protocol.Server(conn, client, resource, self._clock()), protocol.Request("GET", fields)
            uri = _examined(protocol, server, request)
            return Asked(client, uri, tuple(request.scope.split()), request.payload.state)

        return read

    async def _answer(self, fields: Fields, resource: str, ask: Any) -> Answer:
        protocol = await self._loaded()
        client = self.clients.bare(next((value for name, value in fields if name == "client_id"), ""))
        now = self._clock()

        def write(conn: Connection) -> Answer:
            answer: Answer = ask(protocol.Server(conn, client, resource, now), protocol.Request("POST", fields))
            return answer

        return await self._database.free(write)

    def _find(self, conn: Connection, protocol: Any, shown: str) -> Principal:
        now = self._clock()
        lent = lent_keys.find_by_access(conn, shown, now)
        principal: Principal | None = None if lent is None else protocol.holder_of(conn, lent, now)
        if principal is None:
            raise Unauthorized("The access token is unknown or has ended: refresh it, or ask for access again.")
        return principal

    async def _loaded(self) -> ModuleType:
        if self._protocol is None:
            if not self.is_possible():
                raise NotFound("This server lends no keys to programs: install fileferry[mcp] there.")
            load = partial(import_module, "fileferry.engine.authorization.protocol")
            self._protocol = await asyncio.to_thread(load)
        return self._protocol


def _examined(protocol: Any, server: Any, request: Any) -> str:
    """Return where the answer to a request goes; raises InvalidParameter for one that is not to be shown to anybody."""
    doubled = [name for name, values in request.payload.datalist.items() if len(values) > 1 and name != "resource"]
    if doubled:
        raise InvalidParameter("A parameter of the program's request comes twice.")
    if not request.payload.redirect_uri:
        raise InvalidParameter("The program's request has no redirect_uri.", parameter="redirect_uri")
    try:
        server.refuse_other_resource(request)
        return str(server.get_consent_grant(request).redirect_uri)
    except protocol.OAuth2Error as error:
        raise InvalidParameter(f"The program's request cannot be used ({error.error}).") from error


def with_query(uri: str, **parameters: str) -> str:
    """Return an address with further parameters in its query."""
    parts = urlsplit(uri)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *parameters.items()]
    return parts._replace(query=urlencode(query)).geturl()
