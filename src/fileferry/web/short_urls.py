"""Short URLs in requests and answers: where they are, and how one is read. What they grant is for the engine to say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from fileferry.engine.access.links import Right
from fileferry.engine.access.short_urls import Kind, Target
from fileferry.engine.engine import Engine
from fileferry.errors import MangledURL
from fileferry.model import Batch, Principal, StoredFile, Upload
from fileferry.telemetry import client_of
from fileferry.web.requests import AnyRequest, base_url

UPLOADS = "/t"
"""What the paths of short URLs begin with that take bytes; those that give bytes begin with ``FILES``."""
FILES = "/g"


class ShortUrl(msgspec.Struct, frozen=True):
    """A short URL, and when it ends unless its key or what it is for ends before."""

    url: str
    ends_at: datetime


async def for_uploads(request: AnyRequest, engine: Engine, uploads: Sequence[Upload]) -> list[ShortUrl]:
    """Return a new short URL for each upload, good for as long as an upload that nothing comes for is kept."""
    ends_at = engine.clock() + engine.settings.upload_idle_timeout
    targets = [Target(Kind.UPLOAD, upload.id, _right(request), ends_at) for upload in uploads]
    return await _made(request, engine, UPLOADS, targets)


async def for_version(request: AnyRequest, engine: Engine, stored: StoredFile, lifetime: timedelta) -> ShortUrl:
    """Return a new short URL that a version can be fetched from for ``lifetime``."""
    target = Target(Kind.VERSION, stored.version.id, _right(request), engine.clock() + lifetime)
    (made,) = await _made(request, engine, FILES, [target])
    return made


async def for_batch(
    request: AnyRequest, engine: Engine, batch: Batch, lifetime: timedelta, *, has_room: bool
) -> ShortUrl:
    """Return a new short URL of the manifest of a committed batch, good for ``lifetime``; see ``ShortUrls.make``."""
    target = Target(Kind.BATCH, batch.id, _right(request), engine.clock() + lifetime)
    (made,) = await _made(request, engine, FILES, [target], has_room=has_room)
    return made


async def found(request: AnyRequest, engine: Engine, prefix: str, *kinds: Kind) -> Target:
    """Return what the short URL of a request is for.

    Raises MangledURL, LinkRefused, also for one of another kind, and RateLimited.
    """
    sent = request.scope["raw_path"].decode("latin-1")
    if not sent.startswith(f"{prefix}/"):
        raise MangledURL()
    target = await engine.short_urls.find(sent.removeprefix(f"{prefix}/"), client_of(request.scope))
    if target.kind not in kinds:
        raise MangledURL()
    return target


async def _made(
    request: AnyRequest, engine: Engine, prefix: str, targets: Sequence[Target], *, has_room: bool = False
) -> list[ShortUrl]:
    base = base_url(request, engine)
    tokens = await engine.short_urls.make(targets, has_room=has_room)
    return [ShortUrl(f"{base}{prefix}/{token}", target.ends_at) for token, target in zip(tokens, targets, strict=True)]


def _right(request: AnyRequest) -> Right:
    principal: Principal = request.state.principal
    return Right.of(principal)
