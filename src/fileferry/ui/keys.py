"""The pages of keys: who may do what. A new secret is shown once."""

from __future__ import annotations

from datetime import timedelta

from litestar import Response, get, post

from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.engine.engine import Engine
from fileferry.errors import InvalidParameter
from fileferry.model import Key, Scope
from fileferry.ui import limits, pages, visits
from fileferry.ui.visits import Form, Visitor
from fileferry.web.requests import AnyRequest, base_url, decode_cursor, encode_cursor, parse_expires_in

_PAGE = 100
_GRACES = (("0", "at once"), ("1h", "after 1 hour"), ("1d", "after 1 day"), ("7d", "after 7 days"))


@get("/keys")
async def list_keys(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the organization's keys, and the form for another."""
    after = decode_cursor(request.query_params.get("cursor"), 1)
    page = await engine.keys.list(visitor.principal, after[0] if after else "", _PAGE)
    return await pages.page(
        request,
        visitor,
        "keys.html",
        "Keys",
        "/keys",
        found=page.items,
        uses=await engine.key_uses.last([key.id for key in page.items]),
        cursor=encode_cursor(page.next_cursor) if page.next_cursor else None,
        spoken=limits.spoken,
        fields=limits.FIELDS,
        values={},
        scopes=list(Scope),
    )


@post("/keys", status_code=200)
async def make_key(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Make a key, and show its secret this once."""
    form = await visits.form_of(request, engine, visitor.form_token)
    folder = form.optional("path_prefix")
    end_users = form.optional("on_behalf_of")
    bounds = KeyBounds(
        limits=limits.changes_of(form),
        path_prefix=folder,
        on_behalf_of=None if end_users is None else tuple(name.strip() for name in end_users.split(",")),
    )
    key, secret = await engine.keys.create(
        visitor.principal,
        form.needed("name", "Name"),
        scopes_of(form),
        parse_expires_in(form.optional("expires")),
        bounds=bounds,
    )
    return await _once(request, engine, visitor, key, secret)


@get("/keys/{key_id:str}")
async def show_key(request: AnyRequest, engine: Engine, visitor: Visitor, key_id: str) -> Response[str]:
    """Show a key and what can be changed of it."""
    key = await engine.keys.get(visitor.principal, key_id)
    return await pages.page(
        request,
        visitor,
        "key.html",
        key.name,
        "/keys",
        key=key,
        used_at=(await engine.key_uses.last([key.id])).get(key.id),
        kept=await engine.keys.kept(key),
        fields=limits.FIELDS,
        values=limits.shown(key.limits),
        scopes=list(Scope),
        graces=_GRACES,
        sessions=[one for one in await engine.sessions.list(visitor.principal) if one.key_id == key.id],
    )


@post("/keys/{key_id:str}", status_code=200)
async def change_key(request: AnyRequest, engine: Engine, visitor: Visitor, key_id: str) -> Response[str]:
    """Change what a key may do, from its next request on."""
    form = await visits.form_of(request, engine, visitor.form_token)
    before = await engine.keys.get(visitor.principal, key_id)
    bounds = KeyBounds(limits=limits.changes_of(form, before=before.limits), path_prefix=form.optional("path_prefix"))
    await engine.keys.change(
        visitor.principal, key_id, bounds, name=form.needed("name", "Name"), scopes=scopes_of(form)
    )
    await visitor.leave_notice("Changed. It holds from the key's next request on.")
    return pages.redirect(request, f"/keys/{key_id}")


@post("/keys/{key_id:str}/revoke", status_code=200)
async def revoke_key(request: AnyRequest, engine: Engine, visitor: Visitor, key_id: str) -> Response[str]:
    """End a key, and the sessions that were begun with it."""
    await visits.form_of(request, engine, visitor.form_token)
    key = await engine.keys.get(visitor.principal, key_id)
    await engine.keys.revoke(visitor.principal, key_id)
    if key_id != visitor.principal.key.id:
        await visitor.leave_notice(f"{key.name} is revoked: it opens nothing from now on.")
    return pages.redirect(request, "/keys")


@post("/keys/{key_id:str}/rotate", status_code=200)
async def rotate_key(request: AnyRequest, engine: Engine, visitor: Visitor, key_id: str) -> Response[str]:
    """Give a key a new secret, and show it this once."""
    form = await visits.form_of(request, engine, visitor.form_token)
    grace = form.get("grace", "0")
    ends = timedelta(0) if grace == "0" else parse_expires_in(grace) or timedelta(0)
    key, secret = await engine.keys.rotate(visitor.principal, key_id, ends)
    return await _once(request, engine, visitor, key, secret)


def scopes_of(form: Form) -> tuple[Scope, ...]:
    """Return the rights that a form has chosen; raises InvalidParameter for what is none."""
    try:
        return tuple(Scope(scope) for scope in form.all("scope"))
    except ValueError as error:
        raise InvalidParameter("A key has the scopes upload, read, delete and admin.", parameter="scopes") from error


async def _once(request: AnyRequest, engine: Engine, visitor: Visitor, key: Key, secret: str) -> Response[str]:
    base = base_url(request, engine)
    return await pages.page(
        request, visitor, "secret.html", f"Key {key.name}", "/keys", secret=secret, key=key, base=base, back="/keys"
    )


handlers = [list_keys, make_key, show_key, change_key, revoke_key, rotate_key]
