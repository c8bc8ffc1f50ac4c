"""Signing in with a key, and out; the sessions that there are, and in which organization one acts."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.datastructures import Cookie

from fileferry.engine.access.sessions import form_token
from fileferry.engine.engine import Engine
from fileferry.errors import FerryError, Forbidden, Unauthorized
from fileferry.model import canonical_id
from fileferry.telemetry import client_of
from fileferry.ui import pages, visits
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest

FORM_COOKIE = "fileferry-form"
"""What ties a form to the browser that it is for, while nobody is signed in."""
WRONG = "This key opens nothing: it may be mistyped, revoked or expired."


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
    form = await visits.form_of(request, engine, form_token(request.cookies.get(FORM_COOKIE, "")))
    if not request.cookies.get(FORM_COOKIE):
        raise Forbidden("Your browser kept no cookie of this page: allow cookies, reload the page and try again.")
    onward = _onward(form.get("next"))
    organization = form.optional("organization")
    try:
        token = await engine.sessions.open(
            form.needed("key", "Key"),
            None if organization is None else canonical_id(organization),
            form.optional("end_user"),
            address=client_of(request.scope),
            user_agent=request.headers.get("user-agent", ""),
        )
    except FerryError as error:
        said = WRONG if isinstance(error, Unauthorized) else error.detail
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
    programs = await engine.lending.list(visitor.principal)
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
        programs=programs,
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


@post("/programs/{lent_id:str}/revoke", status_code=200)
async def revoke_program(request: AnyRequest, engine: Engine, visitor: Visitor, lent_id: str) -> Response[str]:
    """End what a program may do by a key."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.lending.revoke(visitor.principal, lent_id)
    await visitor.leave_notice("The program has no access any more.")
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
    known = known_form(request)
    answer = pages.render(
        request, "sign_in.html", status=status, form_token=form_token(known), onward=onward, error=error
    )
    answer.cookies.append(form_cookie(request, engine, known))
    return answer


def known_form(request: AnyRequest) -> str:
    """Return what the browser's cookie for forms holds, or a new one."""
    return request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(16)


def form_cookie(request: AnyRequest, engine: Engine, known: str) -> Cookie:
    """Return the cookie that ties a form to this browser."""
    cookie = visits.cookie_of(request, engine, known, pages.root_of(engine))
    cookie.key, cookie.path = FORM_COOKIE, pages.root_of(engine)
    return cookie


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


handlers = [show_sign_in, sign_in, sign_out, list_sessions, revoke_session, revoke_program, act_in]
