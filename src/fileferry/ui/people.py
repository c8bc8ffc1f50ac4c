"""The pages of people who sign in without a key: who they are and what they may do. How they sign in is in ``sign_in``."""

from __future__ import annotations

from litestar import Response, get, post

from fileferry.engine.access.accounts import HERE
from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.engine.access.passwords import SHORTEST
from fileferry.engine.engine import Engine
from fileferry.model import Scope
from fileferry.ui import keys, limits, pages, visits
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest, decode_cursor, encode_cursor

_PAGE = 100


@get("/people")
async def list_people(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the organization's people, and the form for another."""
    after = decode_cursor(request.query_params.get("cursor"), 1)
    page = await engine.accounts.list(visitor.principal, after[0] if after else "", _PAGE)
    return await pages.page(
        request,
        visitor,
        "people.html",
        "People",
        "/people",
        found=page.items,
        cursor=encode_cursor(page.next_cursor) if page.next_cursor else None,
        spoken=limits.spoken,
        fields=limits.FIELDS,
        scopes=list(Scope),
        shortest=SHORTEST,
    )


@post("/people", status_code=200)
async def make_person(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Make somebody, with a first password."""
    form = await visits.form_of(request, engine, visitor.form_token)
    bounds = KeyBounds(limits=limits.changes_of(form), path_prefix=form.optional("path_prefix"))
    name = form.needed("name", "Name")
    await engine.accounts.create(visitor.principal, name, form.secret("password"), keys.scopes_of(form), bounds)
    await visitor.leave_notice(f"{name} can sign in. Tell them their password; they can change it.")
    return pages.redirect(request, "/people")


@get("/people/{account_id:str}")
async def show_person(request: AnyRequest, engine: Engine, visitor: Visitor, account_id: str) -> Response[str]:
    """Show somebody and what can be changed of them."""
    account = await engine.accounts.get(visitor.principal, account_id)
    return await pages.page(
        request,
        visitor,
        "person.html",
        account.key.name,
        "/people",
        account=account,
        is_here=account.issuer == HERE,
        kept=await engine.keys.kept(account.key),
        fields=limits.FIELDS,
        values=limits.shown(account.key.limits),
        scopes=list(Scope),
        shortest=SHORTEST,
        sessions=[one for one in await engine.sessions.list(visitor.principal) if one.key_id == account_id],
    )


@post("/people/{account_id:str}", status_code=200)
async def change_person(request: AnyRequest, engine: Engine, visitor: Visitor, account_id: str) -> Response[str]:
    """Change what somebody may do, from their next request on."""
    form = await visits.form_of(request, engine, visitor.form_token)
    before = await engine.accounts.get(visitor.principal, account_id)
    changes = limits.changes_of(form, before=before.key.limits)
    bounds = KeyBounds(limits=changes, path_prefix=form.optional("path_prefix"))
    await engine.accounts.change(visitor.principal, account_id, bounds, scopes=keys.scopes_of(form))
    await visitor.leave_notice("Changed. It holds from their next request on.")
    return pages.redirect(request, f"/people/{account_id}")


@post("/people/{account_id:str}/password", status_code=200)
async def set_password(request: AnyRequest, engine: Engine, visitor: Visitor, account_id: str) -> Response[str]:
    """Give somebody another password, and end their sessions."""
    form = await visits.form_of(request, engine, visitor.form_token)
    await engine.accounts.set_password(visitor.principal, account_id, form.secret("password"))
    if account_id == visitor.principal.key.id:
        return pages.redirect(request, "/sign-in")
    await visitor.leave_notice("The password is changed, and their sessions have ended.")
    return pages.redirect(request, f"/people/{account_id}")


@post("/people/{account_id:str}/remove", status_code=200)
async def remove_person(request: AnyRequest, engine: Engine, visitor: Visitor, account_id: str) -> Response[str]:
    """Remove somebody, and end their sessions."""
    await visits.form_of(request, engine, visitor.form_token)
    account = await engine.accounts.get(visitor.principal, account_id)
    await engine.accounts.remove(visitor.principal, account_id)
    if account_id == visitor.principal.key.id:
        return pages.redirect(request, "/sign-in")
    await visitor.leave_notice(f"{account.key.name} is removed: their sessions and signed URLs have ended.")
    return pages.redirect(request, "/people")


handlers = [list_people, make_person, show_person, change_person, set_password, remove_person]
