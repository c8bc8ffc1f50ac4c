"""Credentials: finding the one API key of a request, in every form that the flows' clients use, and who it stands for."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Request

from fileferry import telemetry
from fileferry.engine.authorization.clients import PREFIX
from fileferry.engine.engine import Engine
from fileferry.errors import BadRequest, ConflictingCredentials, Forbidden, InvalidParameter, Unauthorized
from fileferry.model import Principal, canonical_id
from fileferry.web.parameters import refuse_unknown_query
from fileferry.web.standing import LENT, begin_standing

_ORGANIZATION = "organization"
_LONGEST_END_USER = 255


async def authenticate(request: Request[Any, Any, Any], engine: Engine) -> Principal:
    """Return who the request acts for, in the organization named by ``?organization=`` or the key's own.

    Raises Unauthorized, ConflictingCredentials, NotFound for an organization that the key may not act in, Forbidden for an end
    user that it may not act for, and InvalidParameter for what the route knows no such parameter of.
    """
    organization = request.query_params.get(_ORGANIZATION) if request.scope["query_string"] else None
    principal = await _principal_of(request, engine, organization)
    refuse_unknown_query(request, _ORGANIZATION)
    return principal


async def known(request: Request[Any, Any, Any], engine: Engine) -> Principal:
    """Return whose key the request carries, or whose access token, and count it; what is asked with it then are other requests.

    Raises as above.
    """
    secret = secret_of(request)
    if secret.startswith(PREFIX):
        principal = await _holder_of(request, engine, secret)
    else:
        principal = await engine.keys.authenticate(secret, None, end_user_of(request))
    telemetry.tell(key=principal.key.id, organization=principal.organization.id, end_user=principal.end_user)
    await engine.rates.spend_request(principal)
    return principal


async def acting_in(request: Request[Any, Any, Any], engine: Engine, organization_id: str) -> Principal:
    """Return who the request acts for, in the organization (id or slug) that its address names.

    Raises Unauthorized, ConflictingCredentials, NotFound for an organization that the key may not act in, and InvalidParameter.
    """
    principal = await _principal_of(request, engine, organization_id)
    refuse_unknown_query(request)
    return principal


def secret_of(request: Request[Any, Any, Any]) -> str:
    """Return the one key that the request carries; raises Unauthorized for none, ConflictingCredentials for several."""
    secrets = {secret for secret in _candidates(request) if secret}
    if not secrets:
        raise Unauthorized(
            "The request carries no API key: send it as 'Authorization: Bearer KEY'. The command line takes FILEFERRY_KEY."
        )
    if len(secrets) > 1:
        raise ConflictingCredentials()
    return secrets.pop()


def end_user_of(request: Request[Any, Any, Any]) -> str | None:
    """Return the end user that the header ``user-id`` names; None where there is none.

    Raises InvalidParameter for what is no name, an empty one too: who forgets it must not act for everybody. Raises BadRequest for
    two users.
    """
    # Not all that Python strips: as Latin-1, bytes of a letter such as "à" look like spaces.
    named = {value.decode("latin-1").strip(" \t") for name, value in request.scope["headers"] if name == b"user-id"}
    if not named:
        return None
    if len(named) > 1:
        raise BadRequest("The request names more than one end user; send one user-id.")
    try:
        end_user = named.pop().encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter("user-id must be UTF-8.", parameter="user-id") from error
    if not 1 <= len(end_user) <= _LONGEST_END_USER or not end_user.isprintable():
        raise InvalidParameter(f"user-id must be 1 to {_LONGEST_END_USER} printable characters.", parameter="user-id")
    return end_user


async def _principal_of(request: Request[Any, Any, Any], engine: Engine, organization: str | None) -> Principal:
    named = None if organization is None else canonical_id(organization)
    if LENT in request.scope:
        principal = await _holder_of(request, engine, secret_of(request))
    else:
        principal = await engine.keys.authenticate(secret_of(request), named, end_user_of(request))
    telemetry.tell(key=principal.key.id, organization=principal.organization.id, end_user=principal.end_user)
    await engine.rates.spend_request(principal)
    request.state.principal = principal  # whom signed URLs in the answer are for, and whose words its body brings
    begin_standing(request, partial(engine.keys.renew, principal), engine.clock)
    return principal


async def _holder_of(request: Request[Any, Any, Any], engine: Engine, token: str) -> Principal:
    """Return who acts with an access token; raises Unauthorized, and Forbidden for another end user than the token is for."""
    principal = await engine.lending.authenticate(token)
    if end_user_of(request) not in (None, principal.end_user):
        raise Forbidden("This access token is for another end user.")
    return principal


def _candidates(request: Request[Any, Any, Any]) -> list[str]:
    found = []
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            found.append(_after_scheme(value.decode("latin-1")))
        elif name in (b"x-api-key", b"api-key"):
            found.append(value.decode("latin-1").strip())
    return found


def _after_scheme(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    if not rest:
        return scheme
    if scheme.lower() != "bearer":
        raise Unauthorized("Send the API key as 'Authorization: Bearer KEY'.")
    return rest.strip()
