"""An OpenID provider, by which people sign in: what it is asked, and what of its answers is believed. What they may do is a role's.

Sources: OpenID Connect Core 1.0 sections 3.1 and 5.3, Discovery 1.0, RFC 6749, RFC 7636 (PKCE), RFC 9207. Tokens are judged by
Authlib and joserfc, which are loaded when somebody signs in.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from fileferry.engine.access.accounts import Vouched
from fileferry.engine.access.roles import LOOPBACK, Role, role_of
from fileferry.errors import Unauthorized, Unavailable
from fileferry.model import Clock
from fileferry.settings import Settings

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_KEPT = timedelta(minutes=10)  # what a provider says of itself, and its keys
_ANEW = timedelta(minutes=1)  # keys may be asked for again so long after, for one that is not among them
_SECONDS = 10.0
_LARGEST = 1024 * 1024
_LEEWAY = 60  # seconds that its clock may be off
_LONGEST = 255


class Beginning(msgspec.Struct, frozen=True):
    """Where a browser is sent, and what it must bring back or the server must know then."""

    url: str
    state: str
    nonce: str
    verifier: str


class _Known(msgspec.Struct):
    at: datetime
    metadata: dict[str, Any]
    keys: Any = None


class Provider:
    """The one provider of the settings."""

    def __init__(self, settings: Settings, roles: tuple[Role, ...], clock: Clock) -> None:
        self._settings = settings
        self._roles = roles
        self._clock = clock
        self._known: _Known | None = None

    async def begin(self, back: str) -> Beginning:
        """Return what a sign-in begins with that comes back to this address; raises Unavailable."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata = (await self._metadata()).metadata
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": back,
            "scope": self._settings.oidc_scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        place: str = metadata["authorization_endpoint"]
        return Beginning(place + ("&" if "?" in place else "?") + urlencode(asked), state, nonce, verifier)

    async def finish(self, told: Mapping[str, str], begun: Beginning, back: str) -> Vouched:
        """Return whom the provider vouches for that sent a browser back with these parameters.

        Raises Unauthorized for what does not belong together or cannot be believed, Forbidden without a role, Unavailable.
        """
        metadata = (await self._metadata()).metadata
        if not secrets.compare_digest(told.get("state", "").encode(), begun.state.encode()):
            raise Unauthorized("This sign-in was not begun in this browser: begin anew.")
        needs_issuer = metadata.get("authorization_response_iss_parameter_supported") is True
        if told.get("iss", None if needs_issuer else self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise Unauthorized("Another provider answered than was asked.")
        if "code" not in told:
            raise Unauthorized("The provider did not sign you in.")
        tokens = await self._exchange(metadata, told["code"], begun.verifier, back)
        claims = await self._judged(tokens, begun.nonce)
        groups_claim = self._settings.oidc_groups_claim
        if groups_claim not in claims and "userinfo_endpoint" in metadata:
            claims = {**await self._user_info(metadata, tokens, claims["sub"]), **claims}
        groups = claims.get(groups_claim, [])
        names = [claims.get(name) for name in ("preferred_username", "email", "name")]
        name = next((name for name in names if isinstance(name, str) and name.strip() and name.isprintable()), None)
        role = role_of(self._roles, [groups] if isinstance(groups, str) else [str(group) for group in groups or ()])
        return Vouched(self._settings.oidc_issuer or "", claims["sub"], name or claims["sub"], role)

    async def _exchange(self, metadata: dict[str, Any], code: str, verifier: str, back: str) -> dict[str, Any]:
        client, secret = self._settings.oidc_client_id or "", self._settings.oidc_client_secret
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        given: dict[str, Any] = {}
        if secret is not None and ("client_secret_basic" in methods or "client_secret_post" not in methods):
            given["auth"] = (quote(client, safe=""), quote(secret, safe=""))  # RFC 6749 section 2.3.1
        else:
            sent |= {"client_id": client, **({} if secret is None else {"client_secret": secret})}
        return await self._ask("POST", metadata["token_endpoint"], data=sent, **given)

    async def _judged(self, tokens: dict[str, Any], nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token; raises Unauthorized for one that is not signed by the provider, for us, now."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError

        wanted = {"iss": self._settings.oidc_issuer, "aud": self._settings.oidc_client_id}
        options = {name: {"essential": True, "value": value} for name, value in wanted.items()}
        params = {"nonce": nonce, "client_id": wanted["aud"], "access_token": tokens.get("access_token")}
        text = tokens.get("id_token")
        try:
            if not isinstance(text, str):
                raise ValueError("no ID token")
            token = jwt.decode(text, await self._keys_of(text), algorithms=_ALGORITHMS)
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(now=int(self._clock().timestamp()), leeway=_LEEWAY)
            subject = claims["sub"]
            if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST or not subject.isprintable():
                raise ValueError("sub")
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unauthorized("What the provider says of you cannot be believed.") from error
        return dict(token.claims)

    async def _user_info(self, metadata: dict[str, Any], tokens: dict[str, Any], subject: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {tokens.get('access_token')}"}
        found = await self._ask("GET", metadata["userinfo_endpoint"], headers=headers)
        # Core section 5.3.2: of anybody else it says nothing here.
        return found if found.get("sub") == subject else {}

    async def _metadata(self) -> _Known:
        known, now = self._known, self._clock()
        if known is not None and now - known.at < _KEPT:
            return known
        issuer = self._settings.oidc_issuer or ""
        found = await self._ask("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        places = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if found.get("issuer") != issuer or not all(_is_safe(place) for place in places):
            raise Unavailable(f"{issuer} is no provider of this name: its discovery says another, or no safe address.")
        self._known = _Known(now, found)
        return self._known

    async def _keys_of(self, token: str) -> Any:
        """Return the provider's keys; asked for anew where the token names one that is not among them."""
        from joserfc.jwk import KeySet
        from joserfc.jws import extract_compact

        known = await self._metadata()
        named = extract_compact(token.encode()).headers().get("kid")
        is_there = known.keys is not None and (named is None or any(key.kid == named for key in known.keys.keys))
        if known.keys is None or (not is_there and self._clock() - known.at >= _ANEW):
            found = await self._ask("GET", known.metadata["jwks_uri"])
            known.keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
        return known.keys

    async def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        import httpx

        try:
            async with (
                httpx.AsyncClient(timeout=_SECONDS, headers={"Accept": "application/json"}) as client,
                client.stream(method, url, **options) as response,
            ):
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _LARGEST:
                        raise Unavailable("The provider's answer is too long.")
            found = msgspec.json.decode(body, type=dict[str, Any])
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Unavailable("The provider for signing in does not answer as one.") from error
        if response.status_code == 200:
            return found
        if response.status_code < 500:
            raise Unauthorized("The provider refused this sign-in: begin anew.")
        raise Unavailable("The provider for signing in does not answer.")


def _is_safe(place: object) -> bool:
    if not isinstance(place, str):
        return False
    parts = urlsplit(place)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
