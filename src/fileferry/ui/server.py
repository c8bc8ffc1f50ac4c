"""Pages for who looks after the server: who did what in the organization, and how the server itself stands."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from litestar import Response, get

from fileferry.engine.access import policy
from fileferry.engine.engine import Engine
from fileferry.engine.files.processes import is_silent
from fileferry.errors import InvalidParameter
from fileferry.model import EVENT_TYPES
from fileferry.ui import pages
from fileferry.ui.reports import SHORTCOMINGS
from fileferry.ui.visits import Visitor
from fileferry.version import version
from fileferry.web.requests import AnyRequest, decode_number, encode_cursor

_PAGE = 50
_MOST_TYPES = 20
_DONE = (
    "key.created", "key.changed", "key.rotated", "key.revoked", "user.created", "user.changed", "user.password_changed",
    "user.removed",
)  # fmt: skip


@get("/audit")
async def show_audit_log(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show who did what in the organization, newest first."""
    query = request.query_params
    types = [name for name in query.get("types", "").replace(",", " ").split() if name]
    since = query.get("since", "")
    page = await engine.audit.newest(
        visitor.principal, decode_number(query.get("cursor")), _day(since), types[:_MOST_TYPES] or None, _PAGE
    )
    return await pages.page(
        request,
        visitor,
        "audit.html",
        "Audit log",
        "/audit",
        found=page.items,
        names=await engine.audit.names(visitor.principal, page.items),
        types=", ".join(types),
        since=since,
        known=[*_DONE, *EVENT_TYPES],
        cursor=encode_cursor(page.next_cursor) if page.next_cursor else None,
    )


@get("/server")
async def show_server(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show a root key where files are kept, what is free, what does not work, and which processes are there."""
    policy.authorize_root(visitor.principal)
    settings = engine.settings
    bucket = None if settings.resolved_store_folder() is not None else urlsplit(settings.store or "")
    return await pages.page(
        request,
        visitor,
        "server.html",
        "Server",
        "/server",
        version=version(),
        database="PostgreSQL" if settings.resolved_database_file() is None else "SQLite",
        store="on the disk of this machine" if bucket is None else f"in the bucket {bucket.netloc}{bucket.path}",
        disks=engine.free_space(),
        scans=settings.clamd is not None,
        shortcomings=[SHORTCOMINGS.get(code, code) for code in await engine.shortcomings()],
        leases=await engine.leases(),
        processes=await engine.processes.list(),
        own=engine.processes.own,
        is_silent=is_silent,
        bucket=bucket,
        report=engine.store_report,
    )


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidParameter("Since: choose a day.", parameter="since") from error


handlers = [show_audit_log, show_server]
