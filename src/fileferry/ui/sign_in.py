"""Signing in with a key, and out; the sessions that there are, and in which organization one acts."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get, post

from fileferry.engine.access.sessions import form_token
from fileferry.engine.engine import Engine
from fileferry.errors import FerryError, Forbidden, Unauthorized
from fileferry.model import canonical_id
from fileferry.ui import pages, visits
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest

_FORM_COOKIE = "fileferry-form"
_WRONG = "This key opens nothing: it may be mistyped, revoked or expired."


@get("/sign-in")
async def show_sign_in(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Show the form for a key; somebody who is signed in goes on."""
    onward = _onward(request.query_params.get("next", ""))
    if (token := visits.token_of(request)) is not None:
        try:
            await engine.sessions.visit(token)
            return pages.redirect(request, onward)
        except FerryError:
            pass
    return _form(request, engine, onward, None, 200)


@post("/sign-in", status_code=200)
async def sign_in(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Begin a session, always a new one: nobody can have prepared it."""
    form = await visits.form_of(request, engine, form_token(request.cookies.get(_FORM_COOKIE, "")))
    if not request.cookies.get(_FORM_COOKIE):
        raise Forbidden("Your browser kept no cookie of this page: allow cookies, reload the page and try again.")
    onward = _onward(form.get("next"))
    organization = form.optional("organization")
    try:
        token = await engine.sessions.open(
            form.needed("key", "Key"),
            None if organization is None else canonical_id(organization),
            form.optional("end_user"),
            address=visits.address_of(request, engine),
            user_agent=request.headers.get("user-agent", ""),
        )
    except FerryError as error:
        said = _WRONG if isinstance(error, Unauthorized) else error.detail
        return _form(request, engine, onward, said, error.status)
    await _end_present(request, engine)
    answer = pages.redirect(request, onward)
    answer.cookies.append(visits.cookie_of(request, engine, token, pages.root_of(engine)))
    return answer


@post("/sign-out", status_code=200)
async def sign_out(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """End the session, here and at the server."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.sessions.close(visitor.visit.session)
    answer = pages.redirect(request, "/sign-in")
    answer.cookies.append(visits.cookie_of(request, engine, "", pages.root_of(engine)))
    return answer


@get("/sessions")
async def list_sessions(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show who is signed in by the same key, or to an administrator by any key of the organization."""
    found = await engine.sessions.list(visitor.principal)
    organizations = []
    if visitor.principal.key.organization_id is None:
        organizations = (await engine.organizations.list(visitor.principal, "", 1000)).items
    return await pages.page(
        request,
        visitor,
        "sessions.html",
        "Sessions",
        "/sessions",
        found=found,
        own=visitor.visit.session.id,
        organizations=organizations,
    )


@post("/sessions/{session_id:str}/revoke", status_code=200)
async def revoke_session(request: AnyRequest, engine: Engine, visitor: Visitor, session_id: str) -> Response[str]:
    """End another session."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.sessions.revoke(visitor.principal, session_id)
    if session_id != visitor.visit.session.id:
        await visitor.leave_notice("The session has ended.")
    return pages.redirect(request, "/sessions")


@post("/organization", status_code=200)
async def act_in(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Let this session act in another organization."""
    form = await visits.form_of(request, engine, visitor.form_token)
    await engine.sessions.act_in(visitor.visit, canonical_id(form.needed("organization", "Organization")))
    return pages.redirect(request, "/files")


def to_sign_in(request: AnyRequest) -> Response[str]:
    """Return an answer that leads to the form, and back here afterwards."""
    scope: Any = request.scope
    query = scope["query_string"].decode("latin-1")
    here = scope["path"] + (f"?{query}" if query else "")
    return pages.redirect(request, pages.with_query("/sign-in", next=here if request.method == "GET" else None))


def _form(request: AnyRequest, engine: Engine, onward: str, error: str | None, status: int) -> Response[str]:
    known = request.cookies.get(_FORM_COOKIE) or secrets.token_urlsafe(16)
    answer = pages.render(
        request, "sign_in.html", status=status, form_token=form_token(known), onward=onward, error=error
    )
    cookie = visits.cookie_of(request, engine, known, pages.root_of(engine))
    cookie.key, cookie.path = _FORM_COOKIE, pages.root_of(engine)
    answer.cookies.append(cookie)
    return answer


async def _end_present(request: AnyRequest, engine: Engine) -> None:
    """End the session that the browser has, if any: the new one takes its place."""
    token = visits.token_of(request)
    if token is None:
        return
    try:
        await engine.sessions.close((await engine.sessions.visit(token)).session)
    except FerryError:
        return


def _onward(asked: str) -> str:
    """Return a path of ours to go on to; anything that could lead elsewhere leads to the files."""
    if not visits.is_own_path(asked) or urlsplit(asked).path in ("/", "/sign-in"):
        return "/files"
    return asked


handlers = [show_sign_in, sign_in, sign_out, list_sessions, revoke_session, act_in]
