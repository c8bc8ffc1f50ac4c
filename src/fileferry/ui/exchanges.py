"""The pages of what people are sent links to: shares of files, and requests for files. What those people see is in ``shares``
and ``requests``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar import Response, get, post

from fileferry.engine.engine import Engine
from fileferry.engine.files.shares import NewShare, ShareChanges
from fileferry.engine.receiving.requests import NewRequest, RequestChanges
from fileferry.errors import InvalidParameter
from fileferry.model import FileRequest, Share, parse_size
from fileferry.ui import files, pages, visits
from fileferry.ui.codes import qr_code
from fileferry.ui.visits import Form, Visitor
from fileferry.web.requests import AnyRequest, base_url, decode_cursor, encode_cursor, parse_expires_in

_PAGE = 50


@get("/shares")
async def list_shares(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the shares that there are; with files or a folder in the address, the form that shares them."""
    page = await engine.shares.list(visitor.principal, _before(request), _PAGE)
    query = request.query_params
    chosen = [await engine.files.get(visitor.principal, id) for id in query.getall("file", [])[:100]]
    return await pages.page(
        request,
        visitor,
        "shares.html",
        "Shares",
        "/shares",
        found=page.items,
        cursor=encode_cursor(page.next_cursor) if page.next_cursor else None,
        base=base_url(request, engine),
        chosen=chosen,
        folder=query.get("folder", ""),
        workspace=query.get("workspace", ""),
        expiries=files.EXPIRIES,
    )


@post("/shares", status_code=200)
async def make_share(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Share files, or what is below a folder."""
    form = await visits.form_of(request, engine, visitor.form_token)
    new = NewShare(
        file_ids=form.all("id"),
        folder=form.optional("folder"),
        workspace=form.optional("workspace"),
        name=form.optional("name"),
        message=form.get("message"),
        passphrase=form.optional("passphrase"),
        expires_in=_lifetime(form),
        max_downloads=_count(form, "max_downloads", "Downloads"),
    )
    await engine.shares.create(visitor.principal, new)
    await visitor.leave_notice("Shared. Copy the link below.")
    return pages.redirect(request, "/shares")


@get("/shares/{share_id:str}")
async def show_share(request: AnyRequest, engine: Engine, visitor: Visitor, share_id: str) -> Response[str]:
    """Show the link of a share and what can be changed of it."""
    share = (await engine.shares.get(visitor.principal, share_id)).share
    return await _one(request, engine, visitor, share, share.name)


@post("/shares/{share_id:str}", status_code=200)
async def change_share(request: AnyRequest, engine: Engine, visitor: Visitor, share_id: str) -> Response[str]:
    """Change a share; its link stays."""
    form = await visits.form_of(request, engine, visitor.form_token)
    changes = ShareChanges(
        name=form.needed("name", "Title"),
        message=form.get("message"),
        max_downloads=_count(form, "max_downloads", "Downloads"),
        **_locks(form),
    )
    await engine.shares.change(visitor.principal, share_id, changes)
    await visitor.leave_notice("Changed. The link is as it was.")
    return pages.redirect(request, f"/shares/{share_id}")


@post("/shares/{share_id:str}/delete", status_code=200)
async def delete_share(request: AnyRequest, engine: Engine, visitor: Visitor, share_id: str) -> Response[str]:
    """End a share."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.shares.delete(visitor.principal, share_id)
    await visitor.leave_notice("The share has ended: its link leads nowhere.")
    return pages.redirect(request, "/shares")


@get("/requests")
async def list_requests(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the requests for files that there are, and the form for another."""
    page = await engine.requests.list(visitor.principal, _before(request), _PAGE)
    return await pages.page(
        request,
        visitor,
        "requests.html",
        "Requests",
        "/requests",
        found=page.items,
        cursor=encode_cursor(page.next_cursor) if page.next_cursor else None,
        base=base_url(request, engine),
        expiries=files.EXPIRIES,
    )


@post("/requests", status_code=200)
async def make_request(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Ask for files."""
    form = await visits.form_of(request, engine, visitor.form_token)
    new = NewRequest(
        title=form.needed("title", "Title"),
        message=form.get("message"),
        folder=form.optional("folder"),
        max_size=_size(form),
        max_files=_count(form, "max_files", "Files"),
        types=_types(form),
        passphrase=form.optional("passphrase"),
        expires_in=_lifetime(form),
    )
    await engine.requests.create(visitor.principal, new)
    await visitor.leave_notice("Made. Send the link below to whom you ask.")
    return pages.redirect(request, "/requests")


@get("/requests/{request_id:str}")
async def show_request(request: AnyRequest, engine: Engine, visitor: Visitor, request_id: str) -> Response[str]:
    """Show the link of a request and what can be changed of it."""
    asked = await engine.requests.get(visitor.principal, request_id)
    return await _one(request, engine, visitor, asked, asked.title)


@post("/requests/{request_id:str}", status_code=200)
async def change_request(request: AnyRequest, engine: Engine, visitor: Visitor, request_id: str) -> Response[str]:
    """Change a request; its link stays, and so does where files go."""
    form = await visits.form_of(request, engine, visitor.form_token)
    changes = RequestChanges(
        title=form.needed("name", "Title"),
        message=form.get("message"),
        max_size=_size(form),
        max_files=_count(form, "max_files", "Files"),
        types=_types(form),
        **_locks(form),
    )
    await engine.requests.change(visitor.principal, request_id, changes)
    await visitor.leave_notice("Changed. The link is as it was.")
    return pages.redirect(request, f"/requests/{request_id}")


@post("/requests/{request_id:str}/delete", status_code=200)
async def delete_request(request: AnyRequest, engine: Engine, visitor: Visitor, request_id: str) -> Response[str]:
    """End a request; what has come stays."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.requests.delete(visitor.principal, request_id)
    await visitor.leave_notice("The request has ended. What has come stays.")
    return pages.redirect(request, "/requests")


async def _one(
    request: AnyRequest, engine: Engine, visitor: Visitor, one: Share | FileRequest, title: str
) -> Response[str]:
    is_request = isinstance(one, FileRequest)
    current, letter = ("/requests", "r") if is_request else ("/shares", "s")
    url = f"{base_url(request, engine)}/{letter}/{one.token}"
    return await pages.page(
        request,
        visitor,
        "exchange.html",
        title,
        current,
        one=one,
        url=url,
        qr=qr_code(url),
        is_request=is_request,
        expiries=files.EXPIRIES,
    )


def _locks(form: Form) -> dict[str, Any]:
    """Return what a form changes of who gets in and until when; what it leaves empty stays."""
    passphrase, chosen = form.optional("passphrase"), form.get("expires")
    changes: dict[str, Any] = {}
    if passphrase is not None or form.get("open") == "yes":
        changes["passphrase"] = passphrase
    if chosen == "never":
        changes["expires_at"] = None
    elif chosen:
        changes["expires_in"] = parse_expires_in(chosen)
    return changes


def _types(form: Form) -> list[str] | None:
    return [part.strip() for part in form.get("types").split(",") if part.strip()] or None


def _before(request: AnyRequest) -> str | None:
    cursor = decode_cursor(request.query_params.get("cursor"), 1)
    return cursor[0] if cursor else None


def _lifetime(form: Form) -> timedelta | None:
    chosen = form.get("expires", "never")
    return None if chosen == "never" else parse_expires_in(chosen)


def _count(form: Form, name: str, label: str) -> int | None:
    text = form.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise InvalidParameter(f"{label}: write a number.", parameter=name)
    return int(text)


def _size(form: Form) -> int | None:
    text = form.get("max_size")
    try:
        return parse_size(text) if text else None
    except ValueError as error:
        raise InvalidParameter(f"Largest file: {text!r} cannot be used.", parameter="max_size") from error


handlers = [
    list_shares,
    make_share,
    show_share,
    change_share,
    delete_share,
    list_requests,
    make_request,
    show_request,
    change_request,
    delete_request,
]
