"""The pages of many files: a folder or a whole workspace, in an order, and what is done to several files at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post

from fileferry.engine.engine import Engine
from fileferry.engine.files.browsing import ORDERS, VIEWS, View
from fileferry.engine.files.changes import Changes
from fileferry.errors import BadRequest, FerryError, InvalidParameter
from fileferry.model import Principal, StoredFile, clean_path
from fileferry.ui import pages, visits
from fileferry.ui.visits import Form, Visitor
from fileferry.web.requests import (
    AnyRequest,
    encode_cursor,
    parse_expires_at,
    parse_expires_in,
    parse_limit,
)
from fileferry.web.shelves import STATES, place_of

EXPIRIES = (
    ("1h", "in 1 hour"),
    ("1d", "in 1 day"),
    ("7d", "in 7 days"),
    ("30d", "in 30 days"),
    ("365d", "in 1 year"),
    ("never", "never"),
)
"""What a choice of expiries offers."""
_ORDERS = (
    ("newest", "newest first"),
    ("oldest", "oldest first"),
    ("name", "by name"),
    ("largest", "largest first"),
    ("smallest", "smallest first"),
    ("expiry", "ending first"),
)
_MOST = 1000
_MOST_SHARED = 100  # they travel in an address
_PAGE = 50


class Undo(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What brings several files back to how they were: those to restore, and former paths and expiries by id."""

    restore: list[str] = []
    paths: dict[str, str] = {}
    expiries: dict[str, str | None] = {}


@get("/files")
async def list_files(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show files; everything about the page is in its address."""
    asked = dict(request.query_params.items())
    order, view = asked.get("sort", "newest"), asked.get("view", "all")
    state = asked.get("state", "")
    if order not in ORDERS or view not in VIEWS or state not in ("", *STATES):
        raise InvalidParameter("This page cannot be sorted or filtered so.", parameter="sort")
    words = asked.get("q", "").strip()
    shown = await engine.browsing.view(
        visitor.principal,
        asked.get("workspace") or None,
        asked.get("folder", "").strip("/"),
        name=words or None,
        view=view,
        state=STATES.get(state),
        order=order,
        after=place_of(asked.get("cursor"), order),
        limit=parse_limit(asked.get("limit"), _PAGE, 200),
    )
    workspaces = (await engine.workspaces.list(visitor.principal, "", 200)).items
    kept = {name: asked.get(name, "") for name in ("workspace", "folder", "q", "view", "state", "sort", "limit")}
    return await pages.page(
        request,
        visitor,
        "files.html",
        _heading(shown, view),
        "/files",
        shown=shown,
        asked={**kept, "sort": order, "view": view, "q": words},
        address=lambda **changes: _address({**kept, **changes}),
        here=_address({**kept, "cursor": asked.get("cursor", "")}),
        crumbs=_crumbs(shown),
        cursor=None if shown.after is None else encode_cursor(*map(str, shown.after)),
        is_first=not asked.get("cursor"),
        workspaces=workspaces,
        expiries=EXPIRIES,
        orders=_ORDERS,
        path=_path_in(shown, view, words),
    )


@post("/files/act", status_code=200)
async def act(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Delete, move, restore or give an expiry to the files that were chosen."""
    form = await visits.form_of(request, engine, visitor.form_token)
    ids = list(dict.fromkeys(form.all("id")))
    back = back_of(form)
    if not ids:
        await visitor.leave_notice("Choose files first: tick the boxes before their names.")
        return pages.redirect(request, back)
    if form.get("action") == "share":
        return pages.redirect(request, f"/shares?{urlencode([('file', id) for id in ids[:_MOST_SHARED]])}")
    if len(ids) > _MOST:
        raise BadRequest(f"At most {_MOST} files at once.")
    done, refused, undo = await _act(engine, visitor.principal, form, ids)
    verb = {"delete": "Deleted", "move": "Moved", "expire": "Changed the expiry of", "restore": "Restored"}
    said = f"{verb[form.get('action')]} {counted(done)}." if done else ""
    if refused:
        said = f"{said} {counted(len(refused))} could not be changed: {refused[0]}".strip()
    final = done - len(undo.restore)
    if form.get("action") == "delete" and final > 0:
        said += " Hand-offs are deleted for good." if not undo.restore else f" {counted(final)} of them for good."
    await visitor.leave_notice(said, written(undo))
    return pages.redirect(request, back)


@post("/undo", status_code=200)
async def undo(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Bring files back to how they were before what the notice told of."""
    form = await visits.form_of(request, engine, visitor.form_token)
    try:
        asked = msgspec.json.decode(form.get("undo"), type=Undo)
    except msgspec.DecodeError as error:
        raise BadRequest("This cannot be undone.") from error
    done, refused = 0, ""
    for file_id in [*asked.restore, *asked.paths, *asked.expiries][:_MOST]:
        try:
            if file_id in asked.restore:
                await engine.changes.restore(visitor.principal, file_id)
            elif file_id in asked.paths:
                changes = Changes(path=clean_path(asked.paths[file_id]))
                await engine.changes.change(visitor.principal, file_id, changes)
            else:
                changes = Changes(expires_at=parse_expires_at(asked.expiries[file_id]))
                await engine.changes.change(visitor.principal, file_id, changes)
            done += 1
        except FerryError as error:
            refused = error.detail
    said = f"Undone for {counted(done)}."
    await visitor.leave_notice(f"{said} Not for all: {refused}" if refused else said)
    return pages.redirect(request, "/files")


@post("/folders", status_code=200)
async def make_folder(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Make a folder in the one that is shown."""
    form = await visits.form_of(request, engine, visitor.form_token)
    parent, name = form.get("folder").strip("/"), form.needed("name", "Name of the folder")
    workspace = form.optional("workspace")
    made = await engine.folders.create(visitor.principal, f"{parent}/{name}" if parent else name, workspace)
    return pages.redirect(request, pages.with_query("/files", workspace=workspace, folder=made.path))


@post("/folders/{folder_id:str}/delete", status_code=200)
async def delete_folder(request: AnyRequest, engine: Engine, visitor: Visitor, folder_id: str) -> Response[str]:
    """Delete an empty folder."""
    await visits.form_of(request, engine, visitor.form_token)
    folder = await engine.folders.get(visitor.principal, folder_id)
    await engine.folders.delete(visitor.principal, folder_id)
    await visitor.leave_notice(f"Deleted the folder {folder.path}.")
    parent = folder.path.rpartition("/")[0]
    return pages.redirect(request, pages.with_query("/files", workspace=folder.workspace_id, folder=parent))


def back_of(form: Form, otherwise: str = "/files") -> str:
    """Return the page that a form says it came from, a path below the root; anything else is not followed."""
    back = form.get("back")
    return back if visits.is_own_path(back) else otherwise


def counted(count: int) -> str:
    """Return so many files in words."""
    return "1 file" if count == 1 else f"{count} files"


def written(undo: Undo) -> str | None:
    """Return what an undo is as a form carries it; None for nothing."""
    return None if undo == Undo() else msgspec.json.encode(undo).decode()


def changes_of_expiry(chosen: str) -> Changes:
    """Return the change that a choice of expiries is: a duration, a time, or never."""
    if chosen == "never":
        return Changes(expires_at=None)
    if "T" in chosen:
        seconds = "" if chosen.count(":") > 1 else ":00"  # browsers leave them out
        return Changes(expires_at=parse_expires_at(f"{chosen}{seconds}Z"))
    return Changes(expires_in=parse_expires_in(chosen))


async def _act(engine: Engine, principal: Principal, form: Form, ids: list[str]) -> tuple[int, list[str], Undo]:
    """Return how many files were changed, why others were not, and what brings the changed ones back."""
    action, done, refused, undo = form.get("action"), 0, [], Undo()
    target, chosen = form.get("to").strip("/"), form.get("expires")
    if action not in ("delete", "move", "expire", "restore") or (action == "expire" and not chosen):
        raise BadRequest("Choose what is to be done with the files.")
    for file_id in ids:
        try:
            if action == "restore":
                await engine.changes.restore(principal, file_id)
                done += 1
                continue
            before = await engine.files.get(principal, file_id)
            if action == "delete":
                await engine.changes.delete(principal, file_id)
                if before.file.owns_path and engine.settings.restore_window:
                    undo.restore.append(file_id)
            elif action == "move":
                path = f"{target}/{before.file.name}" if target else before.file.name
                await engine.changes.change(principal, file_id, Changes(path=clean_path(path)))
                undo.paths[file_id] = before.file.path
            else:
                await engine.changes.change(principal, file_id, changes_of_expiry(chosen))
                at = before.file.expires_at
                undo.expiries[file_id] = None if at is None else at.isoformat()
            done += 1
        except FerryError as error:
            refused.append(error.detail)
    return done, refused, undo


def _address(parameters: dict[str, Any]) -> str:
    defaults = {"sort": "newest", "view": "all"}
    said = {name: value for name, value in parameters.items() if value != defaults.get(name)}
    return pages.with_query("/files", **said)


def _heading(shown: View, view: str) -> str:
    if view == "deleted":
        return "Deleted files"
    if view == "handoffs":
        return "Hand-offs"
    return shown.folder.path.rpartition("/")[2] if shown.folder else "All files"


def _crumbs(shown: View) -> list[tuple[str, str]]:
    """Return the name and path of each folder above and of the one that is shown."""
    segments = shown.folder.path.split("/") if shown.folder else []
    return [(name, "/".join(segments[: number + 1])) for number, name in enumerate(segments)]


def _path_in(shown: View, view: str, words: str) -> Any:
    """Return what says of a file in which folder it is, where a page has files of several."""

    def path(stored: StoredFile) -> str:
        if not stored.file.owns_path and stored.file.folder_id is None:
            return "hand-off"
        folder = stored.file.path.rpartition("/")[0]
        here = shown.folder.path if shown.folder else ""
        return "" if folder == here and not words and view == "all" else folder or "top"

    return path


handlers = [list_files, act, undo, make_folder, delete_folder]
