"""A file sent to a signed URL inside a multipart form: the file is taken out of its envelope as it streams by.

Form libraries wrap what they send, and a client that puts a form means the file in it. A multipart document that is itself
the content stays as it is. What fields beside the file mean, and whether it is a piece of another, is the business of ``forms``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import TypeGuard

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.errors import BadRequest, MissingFile, TooManyFiles, TruncatedBody
from fileferry.model import Upload
from fileferry.web.form_parts import Decoder, decoder_of
from fileferry.web.framing import file_bytes, is_multipart, refuse_form
from fileferry.web.requests import AnyRequest, body_of, content_length
from fileferry.wire.chunks import refuse_numbered

MEDIA_TYPE = "multipart/form-data"
_MOST_PARTS = 16
# Fields may stand beside the file; as long as none has come, what was read is held, as it may be no form after all.
_LARGEST_FIELDS = 64 * 1024


class Content(msgspec.Struct, frozen=True):
    """The bytes to store: themselves, the digests and size announced of them, and their type as far as it was said.

    ``fields`` are those of the form that came before its file.
    """

    chunks: AsyncIterator[bytes]
    declared: Mapping[Algorithm, bytes]
    announced: int | None
    content_type: str | None
    is_unwrapped: bool = False
    fields: Mapping[str, str] = {}


def is_form(request: AnyRequest) -> bool:
    """Whether a request says of its body that it is a form, and where its parts end."""
    return _boundary(request.headers.get("content-type", "")) is not None


def body_itself(
    request: AnyRequest,
    upload: Upload,
    declared: Mapping[Algorithm, bytes],
    content_type: str | None,
    idle: timedelta,
) -> Content:
    """Return a whole body as what is to be stored; its chunks raise UnsupportedType for a form, unless one was promised."""
    body = file_bytes(request, idle, upload, content_type)
    return Content(body, declared, content_length(request), content_type or request.headers.get("content-type", ""))


async def content_of(
    request: AnyRequest,
    upload: Upload,
    declared: Mapping[Algorithm, bytes],
    content_type: str | None,
    idle: timedelta,
) -> Content:
    """Return what is to be stored of a request's body; ``declared`` are the digests of the body, ``content_type`` the file's.

    It is the file inside where the body is a form, unless the form was put and a multipart document was promised, or just as many
    bytes as the body has. Raises MissingFile, BadRequest; its chunks raise TooManyFiles, MissingFile, TruncatedBody, BadRequest,
    and DigestMismatch at their end.
    """
    itself = body_itself(request, upload, declared, content_type, idle)
    boundary = _boundary(request.headers.get("content-type", ""))
    has_size = upload.size is not None and upload.size == itself.announced
    is_document = request.method == "PUT" and (has_size or is_multipart(upload.content_type or content_type))
    if boundary is None or is_document:
        return itself
    form = _Form(boundary, declared)
    body = body_of(request, idle)
    part = await form.find_file(body)
    if part is None:
        if request.method != "PUT":
            raise BadRequest("The body is not the form that its Content-Type tells of.")
        form.refuse_other()
        return Content(form.as_it_came(body), declared, itself.announced, itself.content_type)
    said = content_type or part.header("content-type")
    return Content(form.file(body), {}, None, said, is_unwrapped=True, fields=form.fields)


def _boundary(content_type: str) -> str | None:
    media_type, parameters = parse_options_header(content_type)
    boundary: str = parameters.get("boundary", "")
    return boundary if media_type == MEDIA_TYPE and boundary.isascii() and 0 < len(boundary) <= 70 else None


class _Form:
    """A body that may be a form with one file: first ``find_file``, then either ``file`` or ``as_it_came``."""

    def __init__(self, boundary: str, declared: Mapping[Algorithm, bytes]) -> None:
        self._start = f"--{boundary}".encode()
        # A wrongly spelled name is no reason to store the envelope.
        self._parser = PushMultipartParser(boundary, max_segment_count=_MOST_PARTS, header_charset="latin-1")
        self._declared = declared
        self._held = bytearray()
        self._fields: dict[str, bytes] = {}
        self._file: MultipartSegment | None = None
        self._events: Iterator[MultipartSegment | bytes | None] = iter(())
        self._unparsed = b""
        self._decoder = Decoder()

    @property
    def fields(self) -> dict[str, str]:
        """The fields that came before the file."""
        return {name: value.decode(errors="replace") for name, value in self._fields.items()}

    async def find_file(self, body: AsyncIterator[bytes]) -> MultipartSegment | None:
        """Read up to the file of the form, and return it; None where this is no form.

        Raises BadRequest for a form that cannot be read or has no file near its start, and MissingFile for one that has none.
        """
        name = ""
        async for chunk in body:
            near = chunk[: _LARGEST_FIELDS - len(self._held)]
            self._held += chunk
            self._events = self._parser.parse(near)
            try:
                for event in self._events:
                    if _is_file(event):
                        self._file, self._unparsed = event, chunk[len(near) :]
                        self._decoder = decoder_of(event)
                        return event
                    if isinstance(event, MultipartSegment):
                        name = event.name or ""
                    elif event is not None:
                        self._fields[name] = self._fields.get(name, b"") + event
            except MultipartError as error:
                if self._start not in self._held:
                    return None
                raise BadRequest(f"The form cannot be read: {error}.") from error
            if len(self._held) >= _LARGEST_FIELDS:
                if self._start not in self._held:
                    return None
                raise BadRequest("The form holds more before its file than belongs there.")
        if self._start not in self._held:
            return None
        raise MissingFile()

    def refuse_other(self) -> None:
        """Raise UnsupportedType where what came is a form with another boundary."""
        refuse_form(bytes(self._held))

    async def as_it_came(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the whole body."""
        if self._held:
            yield bytes(self._held)
        async for chunk in body:
            yield chunk

    async def file(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the bytes of the file that was found; in the end, all of the body must have been one form with one file."""
        within, size, beside = True, 0, 0
        async for event in self._rest(body):
            if _is_file(event):
                raise TooManyFiles()
            if isinstance(event, MultipartSegment):
                # Fields have no say any more, and a piece must not be taken for the whole because it says so late.
                refuse_numbered((event.name or "",))
            if not isinstance(event, bytes | bytearray):
                if within:
                    yield self._decoder.end()
                within = False
            elif within:
                size += len(event)
                yield self._decoder.decode(bytes(event))
            else:
                beside += len(event)
                if beside > _LARGEST_FIELDS:
                    raise BadRequest("The form holds more beside its file than belongs there.")
        # So browsers send a form in which nothing was chosen (HTML, "constructing the entry list").
        if size == 0 and self._file is not None and self._file.filename == "":
            raise MissingFile()

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
