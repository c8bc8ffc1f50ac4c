"""``GET /api/audit``: who did what in an organization, for its administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.params import Parameter

from fileferry.engine.engine import Engine
from fileferry.errors import InvalidParameter
from fileferry.model import Event, Principal, format_time
from fileferry.web.requests import Cursor, Limit, decode_number, encode_cursor, parse_limit

_LONGEST_TYPE = 32

Since = Annotated[str | None, Parameter(description="Only what was done from this RFC 3339 time on.")]
Types = Annotated[str | None, Parameter(description="Only actions of these types, as key.created,file.deleted.")]


class Actor(msgspec.Struct, omit_defaults=True):
    """Who asked for it: the key by its id, the end user that it acted for, the client's address, the request's id and trace.

    Of bytes that came by a signed URL the key is the one that the URL was made with.
    """

    key: str | None = None
    end_user: str | None = None
    client: str | None = None
    request_id: str | None = None
    trace_id: str | None = None


class AuditRecord(msgspec.Struct):
    """Something that was done. ``subject_id`` is the id of the file, key, webhook, workspace, folder or organization.

    ``actor`` is null for what happened by itself, such as the end of a file's life. ``data`` is the thing as it was then.
    """

    id: str
    type: str
    timestamp: str
    organization_id: str
    subject_id: str
    actor: Actor | None
    data: dict[str, Any]


class AuditPage(msgspec.Struct):
    """A page of the audit log, oldest first."""

    records: list[AuditRecord]
    next_cursor: str | None


@get("/audit")
async def read_audit_log(
    engine: Engine,
    principal: Principal,
    since: Since = None,
    types: Types = None,
    cursor: Cursor = "",
    limit: Limit = None,
) -> AuditPage:
    """Read who did what in the organization, oldest first. Needs the scope admin, and a key that is not confined.

    It is kept for FILEFERRY_AUDIT_RETENTION.
    """
    page = await engine.audit.page(
        principal, decode_number(cursor) or 0, _time(since), _types(types), parse_limit(limit)
    )
    next_cursor = encode_cursor(page.next_cursor) if page.next_cursor else None
    return AuditPage([_record(event) for event in page.items], next_cursor)


router = Router("/api", route_handlers=[read_audit_log])


def _record(event: Event) -> AuditRecord:
    return AuditRecord(
        id=str(event.number),
        type=event.type,
        timestamp=format_time(event.created_at),
        organization_id=event.organization_id,
        subject_id=event.file_id,
        actor=None if event.actor is None else msgspec.convert(event.actor, Actor),
        data=event.data,
    )


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        since = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidParameter("since must be an RFC 3339 time, as 2026-01-31T12:00:00Z.", parameter="since") from error
    if since.tzinfo is None:
        raise InvalidParameter("since must have a time zone: add Z for UTC.", parameter="since")
    return since


def _types(text: str | None) -> list[str] | None:
    if text is None:
        return None
    types = text.split(",")
    if not all(0 < len(type) <= _LONGEST_TYPE and type.isascii() and type.isprintable() for type in types):
        raise InvalidParameter("types must be names such as key.created, with commas between them.", parameter="types")
    return types
