"""A plain PUT: all bytes in one request, as S3 and Google Cloud Storage take them too. Knows no parts."""

from __future__ import annotations

from typing import Any

from litestar import Response

from fileferry.engine.digests import Algorithm
from fileferry.engine.engine import Engine
from fileferry.model import Upload
from fileferry.web.requests import AnyRequest, body_of, content_length, declared_digests, refuse_encoded
from fileferry.wire.checksums import amz_checksums, refuse_framed


async def put(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Take the whole body; 200 with its MD5 as ``ETag``, and what it turned out to be as JSON."""
    refuse_encoded(request)
    refuse_framed(request.headers)
    declared = {**declared_digests(request.headers), **amz_checksums(request.headers)}
    async with engine.arrivals.whole(upload, declared, content_length(request)) as arrival:
        async for chunk in body_of(request, engine.settings.body_idle_timeout):
            await arrival.write(chunk)
        received = await arrival.finish()
    answer = {
        "id": upload.file_id,
        "size": received.size,
        Algorithm.MD5: received.md5,
        "crc32c": received.digests.crc32c,
        "sha256": received.digests.sha256,
    }
    return Response(answer, status_code=200, headers={"ETag": f'"{received.md5}"', "Cache-Control": "no-store"})
