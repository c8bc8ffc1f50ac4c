"""Uploading from a page, by a form or resumably by a script, and the uploads that are under way."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from multipart import parse_options_header

from fileferry.engine.engine import Engine
from fileferry.engine.receiving.promises import Promise
from fileferry.engine.receiving.uploads import NewFile
from fileferry.errors import BadRequest, InvalidName
from fileferry.model import Upload, UploadState, clean_name, clean_path
from fileferry.ui import files, pages, visits, words
from fileferry.ui.visits import Visitor
from fileferry.web.forms import Form, receive_form
from fileferry.web.requests import (
    AnyRequest,
    base_url,
    parse_expires_in,
    parse_limit,
    public_url,
    read_json,
    small_body_of,
    upload_url,
)

_LARGEST_JSON = 64 * 1024
_FIELDS = ("folder", "workspace", "place", "expires")
_PAGE = 50


class NewUpload(msgspec.Struct, forbid_unknown_fields=True):
    """A file that a page is about to send. ``path`` is its name, with the folders it was dropped with; ``size`` is in bytes."""

    path: str
    size: int
    type: str = ""
    folder: str = ""
    workspace: str = ""
    place: str = "folder"
    expires: str = "default"


@get("/upload")
async def show_form(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show where to drop files, and what may be uploaded."""
    workspace, folder = request.query_params.get("workspace") or None, request.query_params.get("folder", "").strip("/")
    allowance = await engine.under_way.allowance(visitor.principal, workspace)
    retention = allowance.limits.max_retention
    return await pages.page(
        request,
        visitor,
        "upload.html",
        "Upload",
        "/upload",
        workspace=workspace or "",
        folder=folder or (visitor.principal.key.path_prefix or ""),
        is_bound=visitor.principal.key.path_prefix is not None,
        allowance=allowance,
        retention=None if retention is None else words.seconds(retention),
        expiries=[
            ("default", "never" if retention is None else f"in {words.seconds(retention)}"),
            *files.EXPIRIES[:-1],
        ],
    )


@post("/upload", status_code=200)
async def take_form(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Take one file by a form, for browsers without scripts."""
    visits.refuse_other_origins(request, engine)
    # In the address, as the file in the body should not be read for a page of others.
    visits.refuse_forged(request.query_params.get("form_token", ""), visitor.form_token)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        raise BadRequest("The form cannot be read.")
    form = Form(options.get("boundary", ""), _FIELDS)

    def told() -> NewFile:
        fields = form.filled()
        asked = NewUpload(
            form.file_name or "file",
            0,
            form.file_type or "",
            fields.get("folder", ""),
            fields.get("workspace", ""),
            fields.get("place", "folder"),
            fields.get("expires", "default"),
        )
        path, at_path = _place(asked)
        return NewFile(
            path=path,
            at_path=at_path,
            content_type=form.file_type,
            expires_in=_lifetime(asked),
            workspace=asked.workspace or None,
        )

    stored = await receive_form(request, engine, visitor.principal, form, int(engine.settings.max_file_size), told)
    await visitor.leave_notice(f"Uploaded {stored.file.name}.")
    return pages.redirect(request, f"/files/{stored.file.id}")


@post("/tickets", status_code=201)
async def open_ticket(request: AnyRequest, engine: Engine, visitor: Visitor) -> dict[str, Any]:
    """Promise an upload, and tell the page where its bytes go."""
    body = await _json_of(request, engine, visitor)
    asked = await read_json(body, NewUpload)
    path, at_path = _place(asked)
    promise = Promise(
        path=path,
        at_path=at_path,
        workspace=asked.workspace or None,
        content_type=asked.type or None,
        expires_in=_lifetime(asked),
        size=asked.size,
        auto_complete=True,
    )
    (upload,) = await engine.tickets.open(visitor.principal, [promise])
    return _ticket(request, engine, upload)


@post("/tickets/{upload_id:str}", status_code=200)
async def renew_ticket(request: AnyRequest, engine: Engine, visitor: Visitor, upload_id: str) -> dict[str, Any]:
    """Tell the page how far an upload is that it began earlier, and where the rest goes."""
    await _json_of(request, engine, visitor)
    return _ticket(request, engine, await engine.tickets.get(visitor.principal, upload_id))


@post("/tickets/{upload_id:str}/cancel", status_code=200)
async def cancel_ticket(request: AnyRequest, engine: Engine, visitor: Visitor, upload_id: str) -> dict[str, Any]:
    """End an upload that the page has begun."""
    await _json_of(request, engine, visitor)
    await engine.tickets.abort(await engine.tickets.get(visitor.principal, upload_id))
    return {}


@get("/files/{file_id:str}/state")
async def tell_state(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> dict[str, Any]:
    """Tell the page what became of a file that it has sent."""
    stored = await engine.files.get(visitor.principal, file_id)
    return {
        "state": words.state(stored),
        "tone": words.tone(stored),
        "settled": stored.version.state.value in ("ready", "rejected"),
        "link": public_url(request, engine, stored) if stored.version.state.value == "ready" else None,
    }


@get("/uploads")
async def list_uploads(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the uploads that are not complete."""
    limit = parse_limit(request.query_params.get("limit"), _PAGE, 200)
    found = await engine.under_way.list(visitor.principal, request.query_params.get("cursor") or None, limit)
    return await pages.page(
        request, visitor, "uploads.html", "Uploads under way", "/uploads", found=found.items, cursor=found.next_cursor
    )


@post("/uploads/{upload_id:str}/cancel", status_code=200)
async def cancel_upload(request: AnyRequest, engine: Engine, visitor: Visitor, upload_id: str) -> Response[str]:
    """End an upload that is not complete."""
    await visits.form_of(request, engine, visitor.form_token)
    upload = await engine.tickets.get(visitor.principal, upload_id)
    await engine.tickets.abort(upload)
    await visitor.leave_notice(f"The upload of {upload.name} has ended.")
    return pages.redirect(request, "/uploads")


async def _json_of(request: AnyRequest, engine: Engine, visitor: Visitor) -> bytes:
    """Return the JSON that our own script sent: it says so in a header that no page of others can send."""
    visits.refuse_other_origins(request, engine)
    visits.refuse_forged(request.headers.get("x-form-token", ""), visitor.form_token)
    return await small_body_of(request, _LARGEST_JSON, engine.settings.body_idle_timeout) or b"{}"


def _ticket(request: AnyRequest, engine: Engine, upload: Upload) -> dict[str, Any]:
    is_open = upload.state is UploadState.OPEN
    return {
        "id": upload.id,
        "file": upload.file_id,
        "url": upload_url(request, engine, upload) if is_open else None,
        "state": upload.state.value,
        "page": f"{pages.root_of(engine)}/files/{upload.file_id}",
        "base": base_url(request, engine),
    }


def _place(asked: NewUpload) -> tuple[str, bool]:
    """Return the path of a file to come, and whether it is to own it; a hand-off has its name only."""
    if asked.place == "handoff":
        return clean_name(asked.path), False
    if asked.place != "folder":
        raise BadRequest("A file goes into a folder, or is handed off.")
    folder = asked.folder.strip("/")
    parts = [part for part in asked.path.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise InvalidName()
    return clean_path("/".join([folder, *parts] if folder else parts)), True


def _lifetime(asked: NewUpload) -> Any:
    return None if asked.expires == "default" else parse_expires_in(asked.expires)


handlers = [show_form, take_form, open_ticket, renew_ticket, cancel_ticket, tell_state, list_uploads, cancel_upload]
