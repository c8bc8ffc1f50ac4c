"""Signing in with a key or a password, and out; the sessions that there are, and in which organization one acts."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.datastructures import Cookie

from fileferry.engine.access.accounts import HERE
from fileferry.engine.access.passwords import SHORTEST
from fileferry.engine.access.sessions import form_token
from fileferry.engine.engine import Engine
from fileferry.errors import FerryError, Forbidden, Unauthorized
from fileferry.model import canonical_id
from fileferry.telemetry import client_of
from fileferry.ui import pages, proxied, visits
from fileferry.ui.visits import Form, Visitor
from fileferry.web.requests import AnyRequest

FORM_COOKIE = "fileferry-form"
"""What ties a form to the browser that it is for, while nobody is signed in."""
WRONG = "This key opens nothing: it may be mistyped, revoked or expired."
_UNKNOWN = "This name and password open nothing: one of them may be mistyped."


@get("/sign-in")
async def show_sign_in(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Show the form; somebody who is signed in goes on, and so does who the proxy in front vouches for."""
    onward = onward_of(request.query_params.get("next", ""))
    if (token := visits.token_of(request)) is not None:
        try:
            await visits.known(request, engine, token)
            return pages.redirect(request, onward)
        except FerryError:
            pass
    said = None if "stay" in request.query_params else proxied.vouched(request, engine)
    if said is not None:
        token = await engine.sessions.open_vouched(said, **whence(request))
        await end_present(request, engine)
        return entered(request, engine, token, onward)
    return form_page(request, engine, onward, None, 200)


@post("/sign-in", status_code=200)
async def sign_in(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Begin a session, always a new one: nobody can have prepared it."""
    form = await visits.form_of(request, engine, form_token(request.cookies.get(FORM_COOKIE, "")))
    if not request.cookies.get(FORM_COOKIE):
        raise Forbidden("Your browser kept no cookie of this page: allow cookies, reload the page and try again.")
    onward = onward_of(form.get("next"))
    name = form.optional("name")
    try:
        token = await _open(request, engine, form, name)
    except FerryError as error:
        said = error.detail
        if isinstance(error, Unauthorized):
            said = WRONG if name is None else _UNKNOWN
        return form_page(request, engine, onward, said, error.status)
    await end_present(request, engine)
    return entered(request, engine, token, onward)


@post("/sign-out", status_code=200)
async def sign_out(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """End the session, here and at the server."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.sessions.close(visitor.visit.session)
    # Who the proxy in front vouches for would be signed in again at once.
    is_proxied = engine.settings.proxy_user_header is not None
    answer = pages.redirect(request, "/sign-in?stay=1" if is_proxied else "/sign-in")
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


@get("/password")
async def show_password(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the form to change one's own password."""
    account = await engine.accounts.find(visitor.principal.key.id)
    has_one = account is not None and account.issuer == HERE
    return await pages.page(
        request, visitor, "password.html", "Password", "/sessions", has_one=has_one, shortest=SHORTEST
    )


@post("/password", status_code=200)
async def change_password(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Change one's own password: all one's sessions end, and this browser has a new one."""
    form = await visits.form_of(request, engine, visitor.form_token)
    try:
        token = await engine.sessions.change_password(visitor.visit, form.secret("present"), form.secret("password"))
    except Unauthorized as error:
        raise Forbidden(error.detail) from error  # who is signed in stays so
    return entered(request, engine, token, "/sessions")


def whence(request: AnyRequest) -> dict[str, str]:
    """Return what a session says of where it was begun."""
    return {"address": client_of(request.scope), "user_agent": request.headers.get("user-agent", "")}


def entered(request: AnyRequest, engine: Engine, token: str, onward: str) -> Response[str]:
    """Return an answer that leads on, with the cookie of a new session."""
    answer = pages.redirect(request, onward)
    answer.cookies.append(visits.cookie_of(request, engine, token, pages.root_of(engine)))
    return answer


async def _open(request: AnyRequest, engine: Engine, form: Form, name: str | None) -> str:
    organization = form.optional("organization")
    known = None if organization is None else canonical_id(organization)
    if name is not None:
        return await engine.sessions.open_by_password(name, form.secret("password"), known, **whence(request))
    return await engine.sessions.open(form.needed("key", "Key"), known, form.optional("end_user"), **whence(request))


def to_sign_in(request: AnyRequest) -> Response[str]:
    """Return an answer that leads to the form, and back here afterwards."""
    scope: Any = request.scope
    query = scope["query_string"].decode("latin-1")
    here = scope["path"] + (f"?{query}" if query else "")
    return pages.redirect(request, pages.with_query("/sign-in", next=here if request.method == "GET" else None))


def form_page(request: AnyRequest, engine: Engine, onward: str, error: str | None, status: int) -> Response[str]:
    """Return the page with the forms to sign in, and what went wrong."""
    known = known_form(request)
    answer = pages.render(
        request,
        "sign_in.html",
        status=status,
        form_token=form_token(known),
        onward=onward,
        error=error,
        provider=engine.settings.oidc_issuer,
        proxied=engine.settings.proxy_user_header is not None,
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


async def end_present(request: AnyRequest, engine: Engine) -> None:
    """End the session that the browser has, if any: the new one takes its place."""
    token = visits.token_of(request)
    if token is None:
        return
    try:
        await engine.sessions.close((await engine.sessions.visit(token)).session)
    except FerryError:
        return


def onward_of(asked: str) -> str:
    """Return a path of ours to go on to; anything that could lead elsewhere leads to the files."""
    if not visits.is_own_path(asked) or urlsplit(asked).path in ("/", "/sign-in"):
        return "/files"
    return asked


handlers = [
    show_sign_in,
    sign_in,
    sign_out,
    list_sessions,
    revoke_session,
    revoke_program,
    act_in,
    show_password,
    change_password,
]
