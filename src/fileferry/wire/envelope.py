"""A file sent to a signed URL inside a multipart form: the file is taken out of its envelope as it streams by.

Form libraries wrap what they send, and a client that puts a form means the file in it. A multipart document that is itself
the content stays as it is. Knows whole bodies only, never blocks, parts or ranges.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import TypeGuard

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.errors import BadRequest, TooManyFiles, TruncatedBody
from fileferry.model import Upload
from fileferry.web.form_parts import Decoder, decoder_of
from fileferry.web.requests import AnyRequest, body_of, content_length

MEDIA_TYPE = "multipart/form-data"
_MOST_PARTS = 16
# Fields may stand beside the file; as long as none has come, what was read is held, as it may be no form after all.
_LARGEST_FIELDS = 64 * 1024


class Content(msgspec.Struct, frozen=True):
    """The bytes to store: themselves, the digests and size announced of them, and their type as far as it was said."""

    chunks: AsyncIterator[bytes]
    declared: Mapping[Algorithm, bytes]
    announced: int | None
    content_type: str | None
    is_unwrapped: bool = False


async def content_of(
    request: AnyRequest,
    upload: Upload,
    declared: Mapping[Algorithm, bytes],
    content_type: str | None,
    idle: timedelta,
) -> Content:
    """Return what is to be stored of a request's body; ``declared`` are the digests of the body, ``content_type`` the file's.

    It is the file inside where the body is a form that holds one, unless a multipart document was promised, or just as many
    bytes as the body has. Its chunks raise TooManyFiles, TruncatedBody, BadRequest, and DigestMismatch at their end.
    """
    body = body_of(request, idle)
    announced = content_length(request)
    stated = request.headers.get("content-type", "")
    boundary = _boundary(stated)
    expected = (upload.content_type or content_type or "").strip().lower()
    is_promised = expected.startswith("multipart/") or (upload.size is not None and upload.size == announced)
    if boundary is None or is_promised:
        return Content(body, declared, announced, content_type or stated)
    form = _Form(boundary, declared)
    part = await form.find_file(body)
    if part is None:
        return Content(form.as_it_came(body), declared, announced, content_type or stated)
    return Content(form.file(body), {}, None, content_type or part.header("content-type"), is_unwrapped=True)


def _boundary(content_type: str) -> str | None:
    media_type, parameters = parse_options_header(content_type)
    boundary: str = parameters.get("boundary", "")
    return boundary if media_type == MEDIA_TYPE and boundary.isascii() and 0 < len(boundary) <= 70 else None


class _Form:
    """A body that may be a form with one file: first ``find_file``, then either ``file`` or ``as_it_came``."""

    def __init__(self, boundary: str, declared: Mapping[Algorithm, bytes]) -> None:
        self._start = f"--{boundary}".encode()
        # Names are not used, and a wrongly spelled one is no reason to store the envelope.
        self._parser = PushMultipartParser(boundary, max_segment_count=_MOST_PARTS, header_charset="latin-1")
        self._declared = declared
        self._held = bytearray()
        self._events: Iterator[MultipartSegment | bytes | None] = iter(())
        self._unparsed = b""
        self._decoder = Decoder()

    async def find_file(self, body: AsyncIterator[bytes]) -> MultipartSegment | None:
        """Read up to the first file of the form, and return it; None where this is no form, or none with a file near its start."""
        async for chunk in body:
            near = chunk[: _LARGEST_FIELDS - len(self._held)]
            self._held += chunk
            if not self._held.startswith(self._start[: len(self._held)]):
                return None
            self._events = self._parser.parse(near)
            try:
                found = next((event for event in self._events if _is_file(event)), None)
            except MultipartError:
                return None
            if found is not None:
                self._unparsed = chunk[len(near) :]
                self._decoder = decoder_of(found)
                return found
            if len(self._held) >= _LARGEST_FIELDS:
                return None
        return None

    async def as_it_came(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the whole body."""
        if self._held:
            yield bytes(self._held)
        async for chunk in body:
            yield chunk

    async def file(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the bytes of the file that was found; in the end, all of the body must have been one form with one file."""
        within, beside = True, 0
        async for event in self._rest(body):
            if _is_file(event):
                raise TooManyFiles()
            if not isinstance(event, bytes | bytearray):
                if within:
                    yield self._decoder.end()
                within = False
            elif within:
                yield self._decoder.decode(bytes(event))
            else:
                beside += len(event)
                if beside > _LARGEST_FIELDS:
                    raise BadRequest("The form holds more beside its file than belongs there.")

    async def _rest(self, body: AsyncIterator[bytes]) -> AsyncIterator[MultipartSegment | bytes | None]:
        """Yield what follows the file's headers. Raises TruncatedBody, BadRequest, DigestMismatch."""
        hasher = Hasher(self._declared)
        hasher.update([bytes(self._held)])
        try:
            for event in self._events:
                yield event
            if self._unparsed:
                for event in self._parser.parse(self._unparsed):
                    yield event
            async for chunk in body:
                hasher.update([chunk])
                for event in self._parser.parse(chunk):
                    yield event
        except MultipartError as error:
            raise BadRequest(f"The multipart body cannot be read: {error}.") from error
        try:
            self._parser.close()
        except MultipartError as error:
            raise TruncatedBody("The multipart body ended early; nothing was stored. Send it again.") from error
        hasher.verify(self._declared)


def _is_file(event: MultipartSegment | bytes | None) -> TypeGuard[MultipartSegment]:
    if not isinstance(event, MultipartSegment):
        return False
    # Older form libraries give a name beyond ASCII only in the extended notation (RFC 8187).
    return event.filename is not None or "filename*=" in event.header("Content-Disposition", "").lower()
