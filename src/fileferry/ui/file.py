"""The page of one file: what it is, where it can be fetched, its versions, what happened to it, and what can be done with it."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.response import Stream

from fileferry.engine.engine import Engine
from fileferry.engine.files.changes import Changes
from fileferry.engine.inspection.media_types import SHOWN_TYPES, TEXT_TYPE, bare
from fileferry.engine.preflight.preflights import Preflight
from fileferry.engine.preflight.rules import consumers
from fileferry.errors import FerryError, InvalidParameter, NotFound
from fileferry.model import Event, State, StoredFile, clean_path
from fileferry.ui import files, pages, visits, words
from fileferry.ui.codes import qr_code
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest, base_url, download_url, parse_expires_in, public_url

_MOST_TEXT = 64 * 1024
_MOST_PREVIEWED = 64 * 1024 * 1024
_MOST_EVENTS = 50
_LONGEST_LINK = timedelta(days=7)
_KINDS = ("image", "audio", "video")
_SAFETY = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Disposition": "inline",
}


@get("/files/{file_id:str}")
async def show_file(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> Response[str]:
    """Show a file, a deleted one too while it can be restored."""
    return await _show(request, engine, visitor, file_id)


@get("/files/{file_id:str}/preview")
async def preview(engine: Engine, visitor: Visitor, file_id: str) -> Stream:
    """Give a picture, sound or film to the page of its file. It is not counted as a fetch, and can do nothing as a page."""
    stored = await engine.files.open(visitor.principal, file_id)
    if _kind(stored) not in _KINDS:
        raise NotFound("There is no preview of this file.")
    headers = {**_SAFETY, "Content-Length": str(stored.version.size)}
    content = engine.files.read(stored, 0, stored.version.size)
    return Stream(content, media_type=bare(stored.version.content_type), headers=headers)


@post("/files/{file_id:str}/move", status_code=200)
async def move_file(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> Response[str]:
    """Give a file another path, which ends with its name."""
    form = await visits.form_of(request, engine, visitor.form_token)
    before = await engine.files.get(visitor.principal, file_id)
    path = clean_path(form.needed("path", "Path").strip("/"))
    await engine.changes.change(visitor.principal, file_id, Changes(path=path))
    undo = files.written(files.Undo(paths={file_id: before.file.path}))
    await visitor.leave_notice(f"The file is called {path} now.", undo)
    return pages.redirect(request, f"/files/{file_id}")


@post("/files/{file_id:str}/expiry", status_code=200)
async def change_expiry(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> Response[str]:
    """Give a file another expiry."""
    form = await visits.form_of(request, engine, visitor.form_token)
    chosen = form.get("at") or form.needed("expires", "Expiry")
    changed = await engine.changes.change(visitor.principal, file_id, files.changes_of_expiry(chosen))
    at = changed.file.expires_at
    await visitor.leave_notice(f"It expires {words.moment(at)}." if at else "It does not expire.")
    return pages.redirect(request, f"/files/{file_id}")


@post("/files/{file_id:str}/delete", status_code=200)
async def delete_file(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> Response[str]:
    """Delete a file: its URLs stop working at once."""
    form = await visits.form_of(request, engine, visitor.form_token)
    before = await engine.files.get(visitor.principal, file_id, deleted=True)
    permanent = form.get("permanent") == "yes"
    await engine.changes.delete(visitor.principal, file_id, permanent=permanent)
    can_undo = before.file.owns_path and engine.settings.restore_window and not permanent
    undo = files.written(files.Undo(restore=[file_id])) if can_undo else None
    await visitor.leave_notice(f"Deleted {before.file.name}{'' if can_undo else ' for good'}.", undo)
    return pages.redirect(request, "/files")


@post("/files/{file_id:str}/restore", status_code=200)
async def restore_file(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> Response[str]:
    """Take back the deletion of a file."""
    await visits.form_of(request, engine, visitor.form_token)
    restored = await engine.changes.restore(visitor.principal, file_id)
    moved = f", at {restored.stored.file.path}, as its path is taken" if restored.moved else ""
    await visitor.leave_notice(f"The file is back{moved}.")
    return pages.redirect(request, f"/files/{file_id}")


@post("/files/{file_id:str}/versions/{number:int}/restore", status_code=200)
async def restore_version(
    request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str, number: int
) -> Response[str]:
    """Make an older version the current one again, as a new version."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.copies.bring_back(visitor.principal, file_id, number)
    await visitor.leave_notice(f"Version {number} is the current one again.")
    return pages.redirect(request, f"/files/{file_id}")


@post("/files/{file_id:str}/versions/{number:int}/delete", status_code=200)
async def delete_version(
    request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str, number: int
) -> Response[str]:
    """Delete an older version for good."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.changes.delete_version(visitor.principal, file_id, number)
    await visitor.leave_notice(f"Deleted version {number} for good.")
    return pages.redirect(request, f"/files/{file_id}")


@post("/files/{file_id:str}/links", status_code=200)
async def make_link(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> Response[str]:
    """Make a signed URL that ends by itself, and show it this once."""
    form = await visits.form_of(request, engine, visitor.form_token)
    lifetime = parse_expires_in(form.needed("lifetime", "How long"))
    if lifetime is None or lifetime > _LONGEST_LINK:
        raise InvalidParameter("A signed URL is good for 7 days at most.", parameter="lifetime")
    stored = await engine.files.get(visitor.principal, file_id)
    url = download_url(request, engine, visitor.principal, stored, lifetime)
    return await _show(request, engine, visitor, file_id, made=(url, words.span(lifetime)))


@post("/files/{file_id:str}/preflight", status_code=200)
async def preflight(request: AnyRequest, engine: Engine, visitor: Visitor, file_id: str) -> Response[str]:
    """Ask the file's public URL as a service would, and show what stands in its way."""
    form = await visits.form_of(request, engine, visitor.form_token)
    stored = await engine.files.get(visitor.principal, file_id)
    url, job = public_url(request, engine, stored), parse_expires_in(form.optional("job"))
    found = await engine.preflights.run(stored, url, form.get("for", "generic"), job)
    return await _show(request, engine, visitor, file_id, checked=found)


async def _show(
    request: AnyRequest,
    engine: Engine,
    visitor: Visitor,
    file_id: str,
    made: tuple[str, str] | None = None,
    checked: Preflight | None = None,
) -> Response[str]:
    principal = visitor.principal
    stored = await engine.files.get(principal, file_id, deleted=True)
    file, version = stored.file, stored.version
    versions = await engine.files.versions(principal, file_id, deleted=True)
    users = await engine.organizations.users(
        principal, [file.created_by, file.modified_by, *(one.created_by for one in versions)]
    )
    history = await engine.history.of_file(principal, file_id, _MOST_EVENTS)
    url = public_url(request, engine, stored)
    kind = _kind(stored)
    return await pages.page(
        request,
        visitor,
        "file.html",
        file.name,
        "/files",
        stored=stored,
        versions=[(one, public_url(request, engine, StoredFile(file, one))) for one in versions],
        users={id: user.name for id, user in users.items()},
        fetched=await engine.browsing.fetched(stored),
        history=history,
        names=await engine.audit.names(principal, history),
        steps=_steps(stored, history),
        url=url,
        qr=qr_code(url),
        made=made,
        checked=checked,
        services=[(name, consumer.title) for name, consumer in consumers().items()],
        kind=kind,
        text=await _text(engine, stored) if kind == "text" else None,
        metadata=msgspec.json.format(msgspec.json.encode(file.metadata), indent=2).decode() if file.metadata else None,
        lines=_lines(request, engine, stored, url),
        expiries=files.EXPIRIES,
        is_deleted=file.deleted_at is not None,
        is_served=version.state is State.READY and file.deleted_at is None,
    )


def _kind(stored: StoredFile) -> str | None:
    """Return how a file can be shown safely: as its bytes agree with its type, and only what cannot run anything."""
    version = stored.version
    media_type = bare(version.content_type)
    is_sound = media_type in SHOWN_TYPES and version.detected_type == media_type
    is_counted = version.fetches_left is not None  # looking at it would be a fetch
    if not is_sound or is_counted or version.state is not State.READY or stored.file.deleted_at is not None:
        return None
    if media_type == bare(TEXT_TYPE):
        return "text"
    kind = media_type.partition("/")[0]
    return kind if kind in _KINDS and version.size <= _MOST_PREVIEWED and "svg" not in media_type else None


async def _text(engine: Engine, stored: StoredFile) -> str | None:
    """Return the beginning of a text."""
    length = min(stored.version.size, _MOST_TEXT)
    try:
        content = b"".join([block async for block in engine.files.read(stored, 0, length)])
    except FerryError:
        return None
    return content.decode(errors="replace") + ("\n…" if length < stored.version.size else "")


def _steps(stored: StoredFile, history: list[Event]) -> list[tuple[str, Any, str]]:
    """Return what a version went through: name, time and outcome of each step."""
    version = stored.version
    found: list[tuple[str, Any, str]] = [("Received", version.created_at, words.size(version.size))]
    if version.scan is not None:
        found.append(("Scanned", version.scan.ended_at, words.scan(stored)))
    for event in reversed(history):
        if event.version_id == version.id and event.type in ("file.ready", "file.rejected", "file.recalled"):
            found.append((words.event(event.type), event.created_at, ""))
    return found


def _lines(request: AnyRequest, engine: Engine, stored: StoredFile, url: str) -> dict[str, str]:
    """Return what fetches the file, and sends its next version, from a shell and from Python."""
    base, path = base_url(request, engine), stored.file.path
    key = '-H "Authorization: Bearer $FILEFERRY_KEY"'
    found = {"curl": f"curl -fLo {shlex.quote(stored.file.name)} {shlex.quote(url)}"}
    python = [
        "import fileferry",
        "",
        f"with fileferry.Client({base!r}, key=KEY) as client:",
        f"    client.download({stored.file.id!r}, {stored.file.name!r})",
    ]
    if stored.file.owns_path:
        found["curl (next version)"] = (
            f"curl -fT {shlex.quote(stored.file.name)} {key} {shlex.quote(f'{base}/api/upload/{quote(path)}')}"
        )
    found["Python"] = "\n".join(python)
    return found


handlers = [
    show_file,
    preview,
    move_file,
    change_expiry,
    delete_file,
    restore_file,
    restore_version,
    delete_version,
    make_link,
    preflight,
]
