"""Short URLs that give bytes: the same as signed ones."""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, Response, Router, route

from fileferry.api.answers import Answer
from fileferry.api.delivery import ANY_ORIGIN, METHODS, deliver, render_problem
from fileferry.engine.access.short_urls import Kind, Target
from fileferry.engine.engine import Engine
from fileferry.errors import MangledURL
from fileferry.web import cors, short_urls
from fileferry.web.express import EXPRESS
from fileferry.web.requests import AnyRequest, public_url

_PATH = "/g/{token:path}"
_MANGLED = ["/t", "/g", "/T/{token:path}", "/G/{token:path}"]
_ANY_METHOD = [HttpMethod.GET, HttpMethod.HEAD, HttpMethod.PUT, HttpMethod.POST, HttpMethod.PATCH, HttpMethod.DELETE]


class ManifestFile(msgspec.Struct, kw_only=True):
    """A file of a batch: ``url`` serves it, ``size`` is bytes, digests are lower-case hex."""

    id: str
    path: str
    size: int
    content_type: str
    sha256: str | None
    crc32c: str
    url: str


class Manifest(msgspec.Struct):
    """The files of a batch, in the order in which they were promised."""

    batch_id: str
    files: list[ManifestFile]


@route(_PATH, http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=EXPRESS)
async def fetch_short(request: AnyRequest, engine: Engine) -> Answer | Response[Manifest]:
    """Fetch a version, or the manifest of a batch, by a short URL that its holder got for a while."""
    target = await short_urls.found(request, engine, short_urls.FILES, Kind.VERSION, Kind.BATCH)
    if target.kind is Kind.BATCH:
        headers = {**ANY_ORIGIN, "Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(await _manifest(request, engine, target), headers=headers)
    stored = await engine.files.open_granted(target.id, target.right)
    return deliver(request, engine, stored, {**ANY_ORIGIN, "Cache-Control": "private, no-cache"})


@route(_PATH, http_method=[HttpMethod.OPTIONS])
async def preflight_short_fetch(request: AnyRequest) -> Response[None]:
    """Tell a browser that a page of any origin may read short URLs, without credentials."""
    return Response(None, status_code=200, headers={**cors.preflight(request, METHODS), **ANY_ORIGIN})


@route(_MANGLED, http_method=_ANY_METHOD, include_in_schema=False)
async def refuse_mangled() -> None:
    """Tell whoever has one that was cut off after its first letter, or put into capitals, that it was."""
    raise MangledURL()


async def _manifest(request: AnyRequest, engine: Engine, target: Target) -> Manifest:
    """Return the files of a batch; raises Gone where one of them is no more, and NotReady while one is being checked."""
    files = []
    for version_id in await engine.batches.versions(target.id):
        stored = await engine.files.open_granted(version_id, target.right)
        version = stored.version
        files.append(
            ManifestFile(
                id=stored.file.id,
                path=stored.file.path,
                size=version.size,
                content_type=version.content_type,
                sha256=version.digests.sha256,
                crc32c=version.digests.crc32c,
                url=public_url(request, engine, stored),
            )
        )
    return Manifest(target.id, files)


# Preflight comes first, or the framework answers OPTIONS by itself.
router = Router(
    "/",
    route_handlers=[preflight_short_fetch, fetch_short, refuse_mangled],
    exception_handlers={Exception: render_problem},
    include_in_schema=True,
)
