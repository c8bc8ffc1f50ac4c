"""OAuth 2.1 for hosts that connect to the tools at ``/mcp``: what they find out, and the tokens that they get and give back.

Somebody allows it at a page of the dashboard; without the dashboard, or Authlib, there is nothing here.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from litestar import HttpMethod, Response, Router, get, post, route

from fileferry.engine.authorization.clients import SCOPES, Document
from fileferry.engine.authorization.lending import Lending
from fileferry.engine.engine import Engine
from fileferry.errors import BadRequest, FerryError, NotFound
from fileferry.web import cors, problems
from fileferry.web.requests import AnyRequest, base_url, decode_json, small_body_of

_LARGEST = 16 * 1024
_MOST_FIELDS = 20
_TOOLS = "/mcp"
_RESOURCE = "/.well-known/oauth-protected-resource"
_SERVER = "/.well-known/oauth-authorization-server"
_HEADERS = {**cors.ANY_ORIGIN, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def resource_of(request: AnyRequest, engine: Engine) -> str:
    """Return the address of the tools, which tokens are for (RFC 8707)."""
    return f"{base_url(request, engine)}{_TOOLS}"


def challenge(request: AnyRequest, engine: Engine) -> str | None:
    """Return what a host without a token is told of where to read on (RFC 9728 section 5.1); None where there is no OAuth."""
    try:
        _refuse_absent(engine)
        return f'Bearer resource_metadata="{base_url(request, engine)}{_RESOURCE}{_TOOLS}"'
    except FerryError:
        return None


@get([_RESOURCE, f"{_RESOURCE}{_TOOLS}"])
async def describe_resource(request: AnyRequest, engine: Engine) -> Response[dict[str, Any]]:
    """Tell hosts who gives out tokens for the tools (RFC 9728)."""
    _refuse_absent(engine)
    described = {
        "resource": resource_of(request, engine),
        "authorization_servers": [base_url(request, engine)],
        "scopes_supported": [*SCOPES],
        "bearer_methods_supported": ["header"],
        "resource_name": "fileferry",
    }
    return Response(described, headers=_HEADERS)


@get([_SERVER, f"{_SERVER}{_TOOLS}"])
async def describe_server(request: AnyRequest, engine: Engine) -> Response[dict[str, Any]]:
    """Tell hosts how they ask for tokens (RFC 8414)."""
    _refuse_absent(engine)
    base = base_url(request, engine)
    described = {
        "issuer": base,
        "authorization_endpoint": f"{base}/ui/authorize",
        "token_endpoint": f"{base}/oauth/token",
        "registration_endpoint": f"{base}/oauth/register",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "scopes_supported": [*SCOPES],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }
    return Response(described, headers=_HEADERS)


@post("/oauth/token", status_code=200)
async def give_token(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Give tokens for a code, or for a refresh token, which ends then (OAuth 2.1 section 3.2)."""
    _refuse_absent(engine)
    return _answer(await engine.lending.token(await _fields(request, engine), resource_of(request, engine)))


@post("/oauth/revoke", status_code=200)
async def revoke_token(request: AnyRequest, engine: Engine) -> Response[Any]:
    """End an access or refresh token, and the other one of its pair (RFC 7009)."""
    _refuse_absent(engine)
    return _answer(await engine.lending.end(await _fields(request, engine), resource_of(request, engine)))


@post("/oauth/register", status_code=201)
async def register_client(request: AnyRequest, engine: Engine) -> Response[dict[str, Any]]:
    """Give a host an id (RFC 7591), for those that have no document about them. Nothing is kept of it."""
    _refuse_absent(engine)
    body = await small_body_of(request, _LARGEST, engine.settings.body_idle_timeout)
    client = engine.lending.clients.register(decode_json(body, Document))
    described = {
        "client_id": client.client_id,
        "client_name": client.name,
        "redirect_uris": [*client.redirect_uris],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return Response(described, status_code=201, headers=_HEADERS)


@route(
    [
        _RESOURCE,
        f"{_RESOURCE}{_TOOLS}",
        _SERVER,
        f"{_SERVER}{_TOOLS}",
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/register",
    ],
    http_method=[HttpMethod.OPTIONS],
    include_in_schema=False,
)
async def preflight_oauth(request: AnyRequest) -> Response[None]:
    """Tell a browser that hosts in pages of any origin may ask, without cookies."""
    return Response(None, status_code=200, headers=cors.preflight(request, "GET, POST, OPTIONS"))


def render_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer with an error as OAuth has them (RFC 6749 section 5.2), beside what errors are here."""
    failure = problems.known(error)
    if failure.status == 404 or failure.status >= 500 or failure.status == 429:
        answer: Response[Any] = problems.render(request, error)
    else:
        code = "invalid_redirect_uri" if failure.fields.get("parameter") == "redirect_uris" else "invalid_request"
        code = "invalid_client_metadata" if code == "invalid_request" and "register" in request.scope["path"] else code
        answer = Response({"error": code, "error_description": failure.detail}, status_code=failure.status)
    answer.headers.update(_HEADERS)
    return answer


def _refuse_absent(engine: Engine) -> None:
    if not engine.settings.dashboard or not Lending.is_possible():
        raise NotFound(
            "This server lends no keys to programs: that takes the dashboard, and fileferry[mcp] installed there."
        )


async def _fields(request: AnyRequest, engine: Engine) -> list[tuple[str, str]]:
    body = await small_body_of(request, _LARGEST, engine.settings.body_idle_timeout)
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise BadRequest("The form cannot be read.") from error
    if len(dict(fields)) < len(fields) or any("\x00" in value for _name, value in fields):
        raise BadRequest("A field of the form comes twice, or cannot be read.")
    return fields


def _answer(told: tuple[int, Any, list[tuple[str, str]]]) -> Response[Any]:
    status, body, headers = told
    content = dict(body) if isinstance(body, list) else body
    return Response(content, status_code=status, headers={**dict(headers), **_HEADERS})


router = Router(
    "/",
    # Preflight comes first, or the framework answers OPTIONS by itself.
    route_handlers=[preflight_oauth, describe_resource, describe_server, give_token, revoke_token, register_client],
    exception_handlers={Exception: render_error},
    include_in_schema=False,  # what they take and answer is in the RFCs, and where they are in the metadata
)
