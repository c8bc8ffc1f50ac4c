"""OAuth 2.1 as Authlib keeps it, within one transaction: what a request comes to, and what is written for it, is one step.

Codes with PKCE (S256 alone) for programs without a secret, refresh tokens that change with each use, and revoking. Loaded with
the first request.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from sqlalchemy import Connection

from fileferry.db import keys as stored_keys
from fileferry.db import lent_keys, organizations
from fileferry.engine.access.keys import renewed
from fileferry.engine.authorization.clients import PREFIX, Client
from fileferry.errors import FerryError
from fileferry.model import LentKey, Principal, Scope, new_id

ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=30)
CODE_LIFETIME = timedelta(minutes=2)

Fields = Sequence[tuple[str, str]]
Answer = tuple[int, Any, list[tuple[str, str]]]


def digest(token: str) -> str:
    """Return what is stored of a code or token: its SHA-256 as hex. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def holder_of(conn: Connection, lent: LentKey, now: datetime) -> Principal | None:
    """Return who a program acts as that a key is lent to, by the rights that the key has now; None where it opens nothing more."""
    key = stored_keys.find(conn, lent.key_id)
    organization = organizations.find_organization(conn, lent.organization_id)
    if key is None or organization is None:
        return None
    scopes = tuple(Scope(scope) for scope in lent.scopes.split())
    try:
        return renewed(conn, Principal(key, organization, lent.end_user, now, lent.secret, scopes), now)
    except FerryError:
        return None


class Request(OAuth2Request):  # type: ignore[misc]
    """The fields of a request, whatever brought them."""

    def __init__(self, method: str, fields: Fields) -> None:
        # Whether it came by https is known to whoever is in front.
        super().__init__(method, "https://service/")
        self._fields = dict(fields)
        self.payload = BasicOAuth2Payload(self._fields)
        self.payload._datalist = {name: [value for key, value in fields if key == name] for name in self._fields}

    @property
    def args(self) -> dict[str, str]:
        """The fields of the address."""
        return self._fields

    @property
    def form(self) -> dict[str, str]:
        """The fields of the body."""
        return self._fields


class Server(AuthorizationServer):  # type: ignore[misc]
    """What Authlib asks of a server, on one connection, for one client and one moment."""

    def __init__(self, conn: Connection, client: Client | None, resource: str, now: datetime) -> None:
        super().__init__()
        self.conn = conn
        self.now = now
        self.resource = resource
        self._client = client
        self.register_token_generator(
            "default", BearerTokenGenerator(_access, _refresh, int(ACCESS_LIFETIME.total_seconds()))
        )
        self.register_grant(_Code, [_Proof(required=True)])
        self.register_grant(_Refresh)
        self.register_endpoint(_Revocation)

    def query_client(self, client_id: str) -> Client | None:
        """Return the program of this request."""
        return self._client if self._client is not None and self._client.client_id == client_id else None

    def create_oauth2_request(self, request: Request) -> Request:
        """Return the request as it is."""
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        """Return the answer as it is."""
        return status, body, headers

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody."""

    def save_token(self, token: dict[str, Any], request: Request) -> None:
        """Write the tokens into the row of what was allowed, in place of those before."""
        lent = _lent_of(request)
        lent_keys.update_lent(
            self.conn,
            lent.id,
            access=digest(token["access_token"]),
            access_ends_at=self.now + ACCESS_LIFETIME,
            refresh=digest(token["refresh_token"]),
            spent=lent.refresh,
            used_at=self.now,
            ends_at=self.now + REFRESH_LIFETIME,
        )

    def refuse_other_resource(self, request: Request) -> None:
        """Raise invalid_target for a token that is to be for another address than that of the tools (RFC 8707)."""
        for resource in request.payload.datalist.get("resource", []):
            if resource.rstrip("/") != self.resource:
                raise OAuth2Error("The resource is none of this server.", error="invalid_target")


class _Lent:
    """What was allowed, with the methods that Authlib asks of a code and of a token."""

    def __init__(self, lent: LentKey) -> None:
        self.lent = lent
        self.code_challenge = lent.code_challenge
        self.code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        return self.lent.redirect_uri

    def get_scope(self) -> str:
        return self.lent.scopes

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.lent.client_id


class _Code(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]  # noqa: RUF012 - Authlib's own way

    def generate_authorization_code(self) -> str:
        return secrets.token_urlsafe(32)

    def save_authorization_code(self, code: str, request: Request) -> None:
        principal: Principal = request.user
        now = self.server.now
        lent_keys.insert_lent(
            self.server.conn,
            LentKey(
                id=new_id(now),
                key_id=principal.key.id,
                secret=principal.secret or "",
                organization_id=principal.organization.id,
                end_user=principal.end_user,
                client_id=request.client.client_id,
                client_name=request.client.name,
                redirect_uri=self.redirect_uri,
                scopes=" ".join(principal.lent or ()),
                code=digest(code),
                code_challenge=request.payload.data["code_challenge"],
                code_ends_at=now + CODE_LIFETIME,
                created_at=now,
                used_at=now,
                ends_at=now + CODE_LIFETIME,
            ),
        )

    def validate_token_request(self) -> None:
        self.server.refuse_other_resource(self.request)
        super().validate_token_request()

    def query_authorization_code(self, code: str, client: Client) -> _Lent | None:
        lent = lent_keys.find_by(self.server.conn, "code", digest(code))
        if lent is None or lent.client_id != client.client_id:
            return None
        if lent.access is not None:
            # Somebody has it twice, and one of them has stolen it (RFC 6749 section 4.1.2).
            lent_keys.delete_lent(self.server.conn, lent.id)
            return None
        return _Lent(lent) if self.server.now < lent.code_ends_at else None

    def authenticate_user(self, authorization_code: _Lent) -> Principal | None:
        return holder_of(self.server.conn, authorization_code.lent, self.server.now)

    def delete_authorization_code(self, authorization_code: _Lent) -> None:
        """Leave it, for whoever comes with it once more."""


class _Refresh(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]  # noqa: RUF012 - Authlib's own way
    INCLUDE_NEW_REFRESH_TOKEN = True

    def validate_token_request(self) -> None:
        self.server.refuse_other_resource(self.request)
        super().validate_token_request()

    def authenticate_refresh_token(self, refresh_token: str) -> _Lent | None:
        conn, shown = self.server.conn, digest(refresh_token)
        lent = lent_keys.find_by(conn, "refresh", shown)
        if lent is not None:
            is_good = self.server.now < lent.ends_at and holder_of(conn, lent, self.server.now) is not None
            return _Lent(lent) if is_good else None
        if (stolen := lent_keys.find_by(conn, "spent", shown)) is not None:
            lent_keys.delete_lent(conn, stolen.id)
        return None

    def authenticate_user(self, refresh_token: _Lent) -> Principal | None:
        return holder_of(self.server.conn, refresh_token.lent, self.server.now)

    def revoke_old_credential(self, refresh_token: _Lent) -> None:
        """It was, as the new one took its place."""


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ["none"]  # noqa: RUF012 - Authlib's own way

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Lent | None:
        shown = digest(token_string)
        conn = self.server.conn
        lent = lent_keys.find_by(conn, "access", shown) or lent_keys.find_by(conn, "refresh", shown)
        return None if lent is None else _Lent(lent)

    def revoke_token(self, token: _Lent, request: Request) -> None:
        lent_keys.delete_lent(self.server.conn, token.lent.id)


class _Proof(CodeChallenge):  # type: ignore[misc]
    """PKCE that nobody can leave out or weaken: ``plain`` is not known, and no method is ``plain``."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012 - Authlib's own way

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("A code_challenge with code_challenge_method=S256 is needed.")
        super().validate_code_challenge(grant, redirect_uri)


def _lent_of(request: Request) -> LentKey:
    held: _Lent = request.authorization_code or request.refresh_token
    return held.lent


def _access(**_told: object) -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _refresh(**_told: object) -> str:
    return "ffr_" + secrets.token_urlsafe(32)
