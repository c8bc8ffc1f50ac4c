"""The pages of what people are sent links to: shares of files, and requests for files. What those people see is in ``shares``
and ``requests``.
"""

from __future__ import annotations

from datetime import timedelta

from litestar import Response, get, post

from fileferry.engine.engine import Engine
from fileferry.engine.files.shares import NewShare
from fileferry.engine.receiving.requests import NewRequest
from fileferry.errors import InvalidParameter
from fileferry.model import parse_size
from fileferry.ui import files, pages, visits
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
    types = [part.strip() for part in form.get("types").split(",") if part.strip()]
    new = NewRequest(
        title=form.needed("title", "Title"),
        message=form.get("message"),
        folder=form.optional("folder"),
        max_size=_size(form),
        max_files=_count(form, "max_files", "Files"),
        types=types or None,
        passphrase=form.optional("passphrase"),
        expires_in=_lifetime(form),
    )
    await engine.requests.create(visitor.principal, new)
    await visitor.leave_notice("Made. Send the link below to whom you ask.")
    return pages.redirect(request, "/requests")


@post("/requests/{request_id:str}/delete", status_code=200)
async def delete_request(request: AnyRequest, engine: Engine, visitor: Visitor, request_id: str) -> Response[str]:
    """End a request; what has come stays."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.requests.delete(visitor.principal, request_id)
    await visitor.leave_notice("The request has ended. What has come stays.")
    return pages.redirect(request, "/requests")


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


handlers = [list_shares, make_share, delete_share, list_requests, make_request, delete_request]
