"""``GET /api/uploads``: the uploads that are not complete, whoever began them. ``uploads`` has the router."""

from __future__ import annotations

import msgspec
from litestar import get

from fileferry.engine.engine import Engine
from fileferry.model import Principal, format_time
from fileferry.web.requests import Cursor, Limit, decode_cursor, encode_cursor, parse_limit


class UploadUnderWay(msgspec.Struct, kw_only=True):
    """An upload that is not complete; ``size`` is null while nobody has said it, ``received`` are the bytes that have come."""

    id: str
    file_id: str
    name: str
    path: str
    state: str
    size: int | None
    received: int
    key_id: str
    end_user: str | None
    created_at: str


class UploadPage(msgspec.Struct):
    """A page of uploads, the last begun first."""

    uploads: list[UploadUnderWay]
    next_cursor: str | None


@get("/uploads")
async def list_uploads(engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None) -> UploadPage:
    """List the uploads of the organization that are not complete, the last begun first; ``DELETE`` ends one."""
    before = decode_cursor(cursor, 1)
    page = await engine.under_way.list(principal, before[0] if before else None, parse_limit(limit))
    shown = [
        UploadUnderWay(
            id=one.upload.id,
            file_id=one.upload.file_id,
            name=one.upload.name,
            path=one.upload.path,
            state=one.upload.state,
            size=one.upload.size,
            received=one.received,
            key_id=one.upload.key_id,
            end_user=one.upload.end_user,
            created_at=format_time(one.upload.created_at),
        )
        for one in page.items
    ]
    return UploadPage(shown, encode_cursor(page.next_cursor) if page.next_cursor else None)
