"""The page of a share, ``/s/TOKEN``, for whoever has its link: its files one by one, or all as an archive. Programs get JSON."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from litestar import HttpMethod, Response, Router, get, post, route

from fileferry.api.answers import Answer
from fileferry.api.delivery import Counted, content_disposition, deliver
from fileferry.engine.engine import Engine
from fileferry.engine.files.shared import OpenShare
from fileferry.model import State, StoredFile, canonical_id, format_optional_time
from fileferry.ui import links
from fileferry.web.requests import AnyRequest, Cursor, base_url, decode_cursor, encode_cursor


class SharedFile(msgspec.Struct, kw_only=True):
    """A file of a share; one whose ``status`` is processing cannot be downloaded yet."""

    id: str
    name: str
    size: int
    content_type: str
    status: str
    sha256: str | None
    crc32c: str
    expires_at: str | None
    url: str


class SharedFiles(msgspec.Struct, kw_only=True):
    """What a share shows: ``archive_url`` is that of all its files as a zip; ``downloads_left`` null is any number."""

    name: str
    message: str
    expires_at: str | None
    downloads_left: int | None
    archive_url: str
    files: list[SharedFile]
    next_cursor: str | None


@get("/s/{token:str}")
async def show_share(request: AnyRequest, engine: Engine, token: str, cursor: Cursor = "") -> Response[Any]:
    """Show what a share has."""
    opened = await _open(request, engine, token)
    after = decode_cursor(cursor, 2)
    found, further = await engine.shared.page(opened, (after[0], after[1]) if after else None)
    following = encode_cursor(*further) if further else None
    if not links.is_for_people(request):
        return Response(_shown(request, engine, opened, found, following), headers=links.PRIVATE)
    from fileferry.ui import pages

    share = opened.share
    answer = pages.render(
        request,
        "share.html",
        share=share,
        address=links.path_of(engine, f"/s/{token}"),
        files=[(opened.name_of(one), one) for one in found],
        ready=sum(one.version.state is State.READY for one in found),
        total=sum(one.version.size for one in found),
        is_first=after is None,
        following=following,
        downloads_left=_left(opened),
    )
    answer.headers.update(links.PRIVATE)
    return answer


@post("/s/{token:str}", status_code=303)
async def unlock_share(request: AnyRequest, engine: Engine, token: str) -> Response[Any]:
    """Take the passphrase of a share from its form."""
    return await links.unlocked(request, engine, token, f"/s/{token}", engine.shared.unlock)


@route("/s/{token:str}/files/{file_id:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def fetch_shared(request: AnyRequest, engine: Engine, token: str, file_id: str) -> Answer:
    """Download a file of a share."""
    opened = await _open(request, engine, token)
    stored = await engine.shared.file(opened, canonical_id(file_id))
    link = Counted(partial(engine.shared.downloaded, opened, stored), opened.share.max_downloads is not None)
    return deliver(request, engine, stored, links.PRIVATE, link)


@route("/s/{token:str}/archive", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def fetch_archive(request: AnyRequest, engine: Engine, token: str) -> Answer:
    """Download all files of a share that are ready, as one zip archive that is made on the way."""
    from fileferry.ui.archives import archive, safe_name

    opened = await _open(request, engine, token)
    await engine.shared.refuse_many(opened)
    headers = {
        **links.PRIVATE,
        "Content-Type": "application/zip",
        "Content-Disposition": content_disposition("attachment", f"{safe_name(opened.share.name) or 'files'}.zip"),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(200, headers, None if request.method == "HEAD" else archive(engine, opened))


router = Router(
    "/",
    route_handlers=[show_share, unlock_share, fetch_shared, fetch_archive],
    exception_handlers={Exception: links.render_error},
    include_in_schema=False,
)


async def _open(request: AnyRequest, engine: Engine, token: str) -> OpenShare:
    return await engine.shared.open(token, await links.shown(request, token, engine.shared.unlock))


def _shown(
    request: AnyRequest, engine: Engine, opened: OpenShare, found: list[StoredFile], following: str | None
) -> SharedFiles:
    share = opened.share
    address = f"{base_url(request, engine)}/s/{share.token}"
    return SharedFiles(
        name=share.name,
        message=share.message,
        expires_at=format_optional_time(share.expires_at),
        downloads_left=_left(opened),
        archive_url=f"{address}/archive",
        files=[_file(opened, one, f"{address}/files/{one.file.id}") for one in found],
        next_cursor=following,
    )


def _file(opened: OpenShare, stored: StoredFile, url: str) -> SharedFile:
    version = stored.version
    return SharedFile(
        id=stored.file.id,
        name=opened.name_of(stored),
        size=version.size,
        content_type=version.content_type,
        status=version.state,
        sha256=version.digests.sha256,
        crc32c=version.digests.crc32c,
        expires_at=format_optional_time(stored.file.expires_at),
        url=url,
    )


def _left(opened: OpenShare) -> int | None:
    most = opened.share.max_downloads
    return None if most is None else max(0, most - opened.share.downloads)
