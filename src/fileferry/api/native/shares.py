"""The native API of shares, ``/api/shares``: links to a page with files, for people."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, patch, post
from msgspec import UNSET, UnsetType

from fileferry.api.bodies import takes_json
from fileferry.engine.engine import Engine
from fileferry.engine.files.shares import NewShare, ShareChanges, Shown
from fileferry.model import Principal, Scope, canonical_id, format_optional_time, format_time
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    base_url,
    created,
    decode_cursor,
    encode_cursor,
    json_body,
    parse_expires_at,
    parse_expires_in,
    parse_limit,
)

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Message = Annotated[str, msgspec.Meta(max_length=4096)]
Secret = Annotated[str, msgspec.Meta(min_length=6, max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
FileIds = Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(min_length=1, max_length=1000)]
FolderPath = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class ShareObject(msgspec.Struct, kw_only=True):
    """Files that anyone who has ``url`` may see and download: those of ``file_ids``, or those below ``folder``.

    ``state`` is active, expired or used_up. ``downloads`` counts whole files and archives of all files.
    """

    id: str
    url: str
    name: str
    message: str
    state: str
    file_ids: list[str]
    folder: str | None
    workspace_id: str | None
    has_passphrase: bool
    expires_at: str | None
    max_downloads: int | None
    downloads: int
    last_downloaded_at: str | None
    organization_id: str
    key_id: str
    end_user: str | None
    created_at: str


class SharePage(msgspec.Struct):
    """A page of shares, newest first."""

    shares: list[ShareObject]
    next_cursor: str | None


class NewShareBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to share: files by their ids, or all that is below a folder of a workspace, now and later.

    ``expires_in`` (a duration such as ``7d``) or ``expires_at`` ends the share, ``max_downloads`` once it was
    downloaded so often.
    """

    file_ids: FileIds | None = None
    folder: FolderPath | None = None
    workspace: str | None = None
    name: Title | None = None
    message: Message = ""
    passphrase: Secret | None = None
    expires_in: str | int | None = None
    expires_at: str | None = None
    max_downloads: Count | None = None


class ShareChangesBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change of a share; null lifts its passphrase, its end or ``max_downloads``."""

    file_ids: FileIds | UnsetType = UNSET
    name: Title | UnsetType = UNSET
    message: Message | UnsetType = UNSET
    passphrase: Secret | UnsetType | None = UNSET
    expires_in: str | int | None = None
    expires_at: str | UnsetType | None = UNSET
    max_downloads: Count | UnsetType | None = UNSET


@post("/shares", operation_class=takes_json(NewShareBody))
async def create_share(request: AnyRequest, engine: Engine, principal: Principal) -> Response[ShareObject]:
    """Share files: whoever has the ``url`` sees a page with them, as long as this key may read them."""
    asked = await json_body(request, engine, Scope.READ, NewShareBody)
    new = NewShare(
        file_ids=[canonical_id(id) for id in asked.file_ids or ()],
        folder=asked.folder,
        workspace=asked.workspace,
        name=asked.name,
        message=asked.message,
        passphrase=asked.passphrase,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=parse_expires_at(asked.expires_at),
        max_downloads=asked.max_downloads,
    )
    made = share_object(request, engine, await engine.shares.create(principal, new))
    return created(request, engine, f"/api/shares/{made.id}", made)


@get("/shares")
async def list_shares(
    request: AnyRequest, engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None
) -> SharePage:
    """List the shares that this key has made; with the scope admin, all of the organization."""
    before = decode_cursor(cursor, 1)
    page = await engine.shares.list(principal, before[0] if before else None, parse_limit(limit))
    objects = [share_object(request, engine, shown) for shown in page.items]
    return SharePage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/shares/{share_id:str}")
async def get_share(request: AnyRequest, engine: Engine, principal: Principal, share_id: str) -> ShareObject:
    """Inspect a share."""
    return share_object(request, engine, await engine.shares.get(principal, share_id))


@patch("/shares/{share_id:str}", operation_class=takes_json(ShareChangesBody))
async def patch_share(request: AnyRequest, engine: Engine, principal: Principal, share_id: str) -> ShareObject:
    """Change a share; its URL stays. A new passphrase locks out everybody who does not know it."""
    asked = await json_body(request, engine, Scope.READ, ShareChangesBody)
    expires_at = asked.expires_at
    changes = ShareChanges(
        file_ids=UNSET if isinstance(asked.file_ids, UnsetType) else [canonical_id(id) for id in asked.file_ids],
        name=asked.name,
        message=asked.message,
        passphrase=asked.passphrase,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=expires_at if isinstance(expires_at, UnsetType) else parse_expires_at(expires_at),
        max_downloads=asked.max_downloads,
    )
    return share_object(request, engine, await engine.shares.change(principal, share_id, changes))


@delete("/shares/{share_id:str}")
async def delete_share(engine: Engine, principal: Principal, share_id: str) -> None:
    """End a share at once; its files stay."""
    await engine.shares.delete(principal, share_id)


def share_object(request: AnyRequest, engine: Engine, shown: Shown) -> ShareObject:
    """Return a share as it is shown to who made it."""
    share = shown.share
    return ShareObject(
        id=share.id,
        url=f"{base_url(request, engine)}/s/{share.token}",
        name=share.name,
        message=share.message,
        state=share.state_at(engine.clock()),
        file_ids=shown.file_ids,
        folder=shown.folder,
        workspace_id=share.workspace_id,
        has_passphrase=share.passphrase is not None,
        expires_at=format_optional_time(share.expires_at),
        max_downloads=share.max_downloads,
        downloads=share.downloads,
        last_downloaded_at=format_optional_time(share.last_downloaded_at),
        organization_id=share.organization_id,
        key_id=share.key_id,
        end_user=share.end_user,
        created_at=format_time(share.created_at),
    )


router = Router("/api", route_handlers=[create_share, list_shares, get_share, patch_share, delete_share])
