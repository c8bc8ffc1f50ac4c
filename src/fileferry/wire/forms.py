"""Forms on a signed URL, as browsers and form libraries send them, and the upload widgets that send a file in several of them.

A whole file is taken out of its form. Numbered pieces become parts of the upload, those with an offset its stream. Source: the
documentation and code of the widgets that ``chunks`` names, of blueimp's jQuery File Upload 10, and of FilePond 4.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.receiving.completion import ReceivedBytes
from fileferry.errors import AlreadyUploaded, InvalidParameter, MethodNotAllowed, MissingFile, SizeMismatch
from fileferry.model import Upload, UploadState
from fileferry.web import problems
from fileferry.web.framing import is_multipart, refuse_framed, refuse_range
from fileferry.web.requests import AnyRequest, content_length, is_by_ticket, refuse_encoded, session_url
from fileferry.web.tus import length_of, settled
from fileferry.wire import azure, chunks, envelope, gcs, plain, rufh, s3, tus
from fileferry.wire.chunks import Chunk
from fileferry.wire.content_range import ContentRange, parse_content_range
from fileferry.wire.envelope import Content
from fileferry.wire.gcs_object import session_type

_OTHERS = (azure, tus, rufh, s3)
_STATUSES = {"200": 200, "201": 201, "204": 204}


def is_spoken(request: AnyRequest) -> bool:
    """Whether the query tells of a piece, or the body is a form or a piece of FilePond's; a form in another protocol is its own."""
    if chunks.is_numbered(request.query_params):
        return True
    if any(other.is_spoken(request) for other in _OTHERS):
        return False
    if request.method == "PATCH":
        return "upload-name" in request.headers
    return request.method in ("POST", "PUT") and envelope.is_form(request)


async def handle(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Take a file, or a piece of one; 200 with JSON that says ``success``. Raises MethodNotAllowed, MissingFile."""
    if request.method == "PATCH":
        return await tus.append(request, engine, upload)
    chunk = chunks.read(request.query_params)
    if request.method in ("GET", "HEAD") and chunk is not None:
        return await _tell(engine, upload, chunk)
    file_type = session_type(upload)
    if "content-range" in request.headers and is_multipart(upload.content_type or file_type):
        return await gcs.handle(request, engine, upload)
    if request.method not in ("POST", "PUT"):
        raise MethodNotAllowed(headers={"Allow": "GET, HEAD, PUT, POST, OPTIONS"})
    refuse_encoded(request)
    refuse_framed(request.headers)
    declared = plain.declared(request, upload)
    try:
        content = await envelope.content_of(request, upload, declared, file_type, engine.settings.body_idle_timeout)
    except MissingFile:
        if "upload-length" not in request.headers:
            raise
        return await _begin(request, engine, upload)
    chunk = chunk or chunks.read(content.fields)
    if chunk is None and (span := _span(request, content)) is not None:
        return await _take_range(request, engine, upload, content, span)
    refuse_range(request.headers)
    if chunk is not None:
        return await _take_chunk(request, engine, upload, content, chunk)
    received = await plain.receive(engine, upload, content)
    return _answer(request, engine, upload, received, content)


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with problem+json; ``success`` and ``error`` are what widgets look for, and show."""
    failure = problems.known(error)
    answer = problems.render(request, failure)
    problem = msgspec.json.decode(answer.content)
    answer.content = msgspec.json.encode({**problem, "success": False, "error": failure.detail})
    return answer


async def _tell(engine: Engine, upload: Upload, chunk: Chunk) -> Response[Any]:
    """Say whether a piece has arrived: 200, or 204 for one that is to be sent."""
    parts = await engine.tickets.parts(upload) if upload.wire == chunk.words else []
    is_there = any(part.number == chunk.number for part in parts)
    return Response(None, status_code=200 if is_there else 204, headers={"Cache-Control": "no-store"})


async def _take_chunk(
    request: AnyRequest, engine: Engine, upload: Upload, content: Content, chunk: Chunk
) -> Response[Any]:
    """Take a numbered piece; the last that was missing makes the file."""
    upload = await engine.streams.gather(upload, size=chunk.size, wire=chunk.words)
    if upload.state is not UploadState.OPEN:
        await _refuse_other(engine, upload, content, chunk)
        return await _complete(request, engine, upload, content, chunk)
    # Of a piece in a form no more is known than that it is shorter.
    is_exact = not content.is_unwrapped or upload.part_size is not None
    most = content_length(request)
    announced = content.announced if is_exact or most is None else min(most, upload.max_size)
    arrival = await engine.arrivals.part(upload, chunk.number, content.declared, announced, wire=chunk.words)
    async with arrival:
        async for data in content.chunks:
            await arrival.write(data)
        await arrival.finish()
    return await _complete(request, engine, upload, content, chunk)


async def _complete(
    request: AnyRequest, engine: Engine, upload: Upload, content: Content, chunk: Chunk
) -> Response[Any]:
    parts = await engine.tickets.parts(upload)
    if len(parts) < chunk.count:
        return _progress()
    size = sum(part.size for part in parts)
    if chunk.size not in (None, size):
        raise SizeMismatch(f"The pieces have {size} bytes together, not {chunk.size}.", expected=chunk.size)
    received = await engine.tickets.receive_parts(upload, [(part.number, part.md5) for part in parts])
    return _answer(request, engine, upload, received, content)


async def _refuse_other(engine: Engine, upload: Upload, content: Content, chunk: Chunk) -> None:
    """Return if a piece of what is complete came once more, as it does when the answer was lost; raises AlreadyUploaded."""
    hasher = Hasher({Algorithm.MD5})
    async for data in content.chunks:
        hasher.update([data])
    parts = {part.number: part.md5 for part in await engine.tickets.parts(upload)}
    if parts.get(chunk.number) != hasher.value(Algorithm.MD5).hex():
        raise AlreadyUploaded()


def _span(request: AnyRequest, content: Content) -> ContentRange | None:
    """Return which bytes of the whole the file in a form is; None where it is the whole. Raises InvalidParameter."""
    value = request.headers.get("content-range")
    if value is None or not content.is_unwrapped:
        return chunks.read_offset(content.fields)
    span = parse_content_range(value)
    if None in (span.start, span.stop, span.total):
        raise InvalidParameter(
            "With a form, Content-Range must look like 'bytes 0-524287/2000000'.", parameter="Content-Range"
        )
    return span


async def _take_range(
    request: AnyRequest, engine: Engine, upload: Upload, content: Content, span: ContentRange
) -> Response[Any]:
    """Take a piece that tells where it belongs; the first begins the file anew."""
    assert span.start is not None
    assert span.total is not None
    data = gcs.exactly(span.length, content.chunks)
    if span.start == 0:
        upload = await engine.streams.begin(upload, size=span.total, renews=is_by_ticket(request))
    elif upload.state is not UploadState.OPEN:
        return _answer(request, engine, upload, await gcs.repeated(engine, upload, span, span.start, data), content)
    else:
        upload = await engine.streams.set_size(upload, span.total)
    arrival = await engine.streams.append(upload, span.start, announced=span.length, overlap=True)
    async with arrival:
        await arrival.take(data)
        upload = await arrival.finish()
    if upload.offset != upload.size:
        return _progress()
    received = await engine.streams.complete(upload, content_type=content.content_type)
    return _answer(request, engine, upload, received, content)


async def _begin(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Begin what FilePond goes on with by PATCH at the address that it gets as text."""
    size = length_of(request)
    begun = await settled(engine, await engine.streams.begin(upload, size=size, renews=is_by_ticket(request)))
    headers = {"Cache-Control": "no-store"}
    return Response(session_url(request, engine, begun), status_code=201, media_type="text/plain", headers=headers)


def _progress() -> Response[Any]:
    return Response({"success": True}, status_code=200, headers={"Cache-Control": "no-store"})


def _answer(
    request: AnyRequest, engine: Engine, upload: Upload, received: ReceivedBytes, content: Content
) -> Response[Any]:
    more: dict[str, Any] = {"success": True}
    if content.is_unwrapped:
        more["unwrapped"] = envelope.MEDIA_TYPE
    answer = plain.final_answer(request, engine, upload, received, **more)
    # The field of S3's forms.
    answer.status_code = _STATUSES.get(content.fields.get("success_action_status", ""), 200)
    if answer.status_code == 204:
        answer.content = None
    return answer
