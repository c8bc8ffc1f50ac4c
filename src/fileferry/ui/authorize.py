"""The page where somebody allows a program to act by a key: of the session, or of a key that is pasted.

What the program is, and where the answer goes, is looked at before anything is shown; nobody is led anywhere before that. The
form is for this browser alone, and the page cannot be framed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from litestar import Response, get, post

from fileferry.engine.access.sessions import form_token
from fileferry.engine.authorization.lending import Asked
from fileferry.engine.engine import Engine
from fileferry.errors import BadRequest, FerryError, Forbidden, Unauthorized
from fileferry.model import Principal, Scope, canonical_id
from fileferry.telemetry import client_of
from fileferry.ui import pages, sign_in, visits
from fileferry.ui.visits import Form
from fileferry.web.requests import AnyRequest, base_url

_MOST_FIELDS = 30
_OURS = ("form_token", "decision", "key", "end_user", "organization", "may")
_MEANINGS = {
    "upload": "upload files, and ask people for files",
    "read": "list, read and share files",
    "delete": "delete files",
}


@get("/authorize")
async def show_request(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Show what a program asks for, and ask whether it may."""
    query = request.scope["query_string"].decode("latin-1")
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise BadRequest("The program's request cannot be read.") from error
    asked = await _asked(request, engine, fields)
    return await _form(request, engine, asked, fields)


@post("/authorize", status_code=200)
async def decide(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Lend the key to the program, or say no, and go on to where the program waits."""
    form = await visits.form_of(request, engine, _form_token(request))
    if visits.token_of(request) is None and not request.cookies.get(sign_in.FORM_COOKIE):
        raise Forbidden("Your browser kept no cookie of this page: allow cookies, reload the page and try again.")
    fields = [(name, value) for name, value in form.fields if name not in _OURS]
    asked = await _asked(request, engine, fields)
    issuer = base_url(request, engine)
    if form.get("decision") != "allow":
        return _onward(request, await engine.lending.deny(asked, issuer))
    try:
        principal = await _principal(request, engine, form)
        scopes = tuple(scope for scope in form.all("may") if scope in asked.scopes)
        place = await engine.lending.allow(fields, f"{issuer}/mcp", principal, scopes, issuer)
    except FerryError as error:
        said = sign_in.WRONG if isinstance(error, Unauthorized) else error.detail
        return await _form(request, engine, asked, fields, said, error.status)
    return _onward(request, place)


async def _asked(request: AnyRequest, engine: Engine, fields: list[tuple[str, str]]) -> Asked:
    client_id = next((value for name, value in fields if name == "client_id"), "")
    if engine.lending.clients.is_remote(client_id):
        # A fetch for whoever asks: as many as attempts to sign in.
        await engine.rates.spend_sign_in(client_of(request.scope))
    return await engine.lending.ask(fields, f"{base_url(request, engine)}/mcp")


async def _principal(request: AnyRequest, engine: Engine, form: Form) -> Principal:
    if (key := form.get("key")) != "":
        await engine.rates.spend_sign_in(client_of(request.scope))
        organization = form.optional("organization")
        named = None if organization is None else canonical_id(organization)
        return await engine.keys.authenticate(key, named, form.optional("end_user"))
    token = visits.token_of(request)
    if token is None:
        raise Forbidden("Paste a key: the program acts by it.")
    return (await visits.known(request, engine, token)).principal


def _form_token(request: AnyRequest) -> str:
    return form_token(visits.token_of(request) or request.cookies.get(sign_in.FORM_COOKIE, ""))


async def _form(
    request: AnyRequest,
    engine: Engine,
    asked: Asked,
    fields: list[tuple[str, str]],
    error: str | None = None,
    status: int = 200,
) -> Response[str]:
    principal, token = None, visits.token_of(request)
    if token is not None:
        try:
            principal = (await visits.known(request, engine, token)).principal
        except FerryError:
            principal = None
    known = sign_in.known_form(request)
    held = set(principal.key.scopes) if principal else set(Scope)
    scopes = [scope for scope in asked.scopes if scope in held or Scope.ADMIN in held]
    answer = pages.render(
        request,
        "authorize.html",
        status=status,
        form_action=_source(asked.redirect_uri),
        form_token=form_token(token or known),
        asked=asked,
        fields=fields,
        principal=principal,
        scopes=[(scope, _MEANINGS[scope]) for scope in scopes],
        goes_to=_shown(asked.redirect_uri),
        named_by=urlsplit(asked.client.client_id).hostname if asked.client.client_id.startswith("https://") else None,
        error=error,
    )
    answer.cookies.append(sign_in.form_cookie(request, engine, known))
    return answer


def _onward(request: AnyRequest, place: str) -> Response[str]:
    answer = pages.redirect(request, "")
    answer.headers["Location"] = place
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _source(uri: str) -> str:
    """Return what the page's policy calls the address that the form leads on to: browsers judge that too."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def _shown(uri: str) -> str:
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme in ("http", "https") else f"the program that has {parts.scheme}:"


handlers = [show_request, decide]
