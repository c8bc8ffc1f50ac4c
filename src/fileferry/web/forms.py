"""Multipart forms that upload one file: its bytes are taken in as they come, among a few short fields. What the fields mean is
the flow's business, and forms that are sent to a signed URL are that URL's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from fileferry.engine.access import limits
from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.receiving.uploads import Incoming, NewFile
from fileferry.errors import (
    BadRequest,
    FileTooLarge,
    InvalidMetadata,
    InvalidParameter,
    MissingFile,
    TooManyFiles,
    TruncatedBody,
)
from fileferry.model import Principal, StoredFile
from fileferry.web.digest_fields import declared_digests, wanted_digests
from fileferry.web.form_parts import Decoder, decoder_of, file_name_of, text_of
from fileferry.web.parameters import unknown_name
from fileferry.web.requests import AnyRequest, body_of, content_length

_LARGEST_FIELD = 64 * 1024
_MOST_PARTS = 16


class Form:
    """A form being read: remembers the fields that it may have, passes on its file."""

    def __init__(self, boundary: str, allowed: Collection[str]) -> None:
        try:
            # In which charset names are is found out of each, as no header says it.
            self._parser = PushMultipartParser(boundary, max_segment_count=_MOST_PARTS, header_charset="latin-1")
        except MultipartError as error:
            raise BadRequest("The multipart Content-Type needs a usable boundary.") from error
        self._allowed = allowed
        self._fields: dict[str, bytes] = {}
        self._file: MultipartSegment | None = None

    async def events(self, body: AsyncIterator[bytes]) -> AsyncIterator[MultipartSegment | bytes]:
        """Yield the segment of every file, and after each its bytes. Raises TruncatedBody, BadRequest, InvalidParameter."""
        segment: MultipartSegment | None = None
        decoder = Decoder()
        try:
            async for chunk in body:
                for event in self._parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        segment, decoder = event, decoder_of(event)
                        if event.name == "file":
                            self._file = event
                            yield event
                        else:
                            self._open_field(text_of(event.name or ""))
                    elif segment is not None:
                        decoded = decoder.end() if event is None else decoder.decode(bytes(event))
                        if segment.name == "file":
                            yield decoded
                        else:
                            self._extend_field(segment.name or "", decoded)
            if not self._parser.closed:
                self._parser.close()
        except MultipartError as error:
            if self._parser.error is not None and "end of multipart stream" in str(error):
                raise TruncatedBody("The multipart body ended early; nothing was stored. Send it again.") from error
            raise BadRequest(f"The multipart body cannot be read: {error}.") from error

    @property
    def file_name(self) -> str | None:
        """The name that the form gives its file."""
        return None if self._file is None else file_name_of(self._file)

    @property
    def file_type(self) -> str | None:
        """The type that the form gives its file, with its parameters."""
        return self._file.header("content-type") if self._file else None

    def texts(self) -> dict[str, str]:
        """Return the fields; they may have come before or after the file.

        Raises InvalidParameter for one that is empty or not UTF-8.
        """
        return {name: _text(name, value) for name, value in self._fields.items()}

    def filled(self) -> dict[str, str]:
        """Return the fields that say anything: a page's form sends those that were left empty, too."""
        return {name: _text(name, value) for name, value in self._fields.items() if value}

    def _open_field(self, name: str) -> None:
        if name not in self._allowed:
            raise unknown_name(name, ["file", *self._allowed], "field")
        if name in self._fields:
            raise InvalidParameter(f"The form has the field {name!r} twice.", parameter=name)
        self._fields[name] = b""

    def _extend_field(self, name: str, data: bytes | bytearray) -> None:
        self._fields[name] += data
        if len(self._fields[name]) > _LARGEST_FIELD:
            kind = InvalidMetadata if name == "metadata" else InvalidParameter
            raise kind(f"The field {name!r} is longer than {_LARGEST_FIELD} bytes.")


async def receive_form(
    request: AnyRequest, engine: Engine, principal: Principal, form: Form, largest: int, told: Callable[[], NewFile]
) -> StoredFile:
    """Store the one file of a request's form, of at most ``largest`` bytes; ``told`` says in the end what it is to be.

    Raises Forbidden, FileTooLarge, MissingFile, TooManyFiles, and what ``Form`` and ``Incoming`` raise.
    """
    announced = content_length(request)
    allowed = await engine.uploads.admit(principal, announced)
    largest = min(largest, limits.largest(allowed))
    # The digests of a multipart request cover the whole body; those of the file may stand in the part's own headers.
    envelope = _Envelope(declared_digests(request.headers))
    if announced is not None and announced > largest + _MOST_PARTS * _LARGEST_FIELD:
        raise FileTooLarge(limit=largest)
    incoming: Incoming | None = None
    size = 0
    try:
        async for event in form.events(envelope.passing(body_of(request, engine.settings.body_idle_timeout))):
            if isinstance(event, bytes) and incoming is not None:
                size += len(event)
                if size > largest:
                    raise FileTooLarge(limit=largest)
                await incoming.write(event)
            elif isinstance(event, MultipartSegment):
                if incoming is not None:
                    raise TooManyFiles()
                incoming = engine.uploads.receive(
                    principal,
                    declared=_part_digests(event),
                    wanted=wanted_digests(request.headers),
                    allowed=allowed,
                )
        # An empty name is how browsers send a form in which nothing was chosen (HTML, "constructing the entry list").
        if incoming is None or (size == 0 and form.file_name == ""):
            raise MissingFile()
        envelope.verify()
        received = await incoming.finish(told())
    finally:
        if incoming is not None:
            await incoming.close()
    return received.stored


class _Envelope:
    """The whole body of a request, digested as it passes where its headers declare digests."""

    def __init__(self, declared: dict[Algorithm, bytes]) -> None:
        self._declared = declared
        self._hasher = Hasher(declared)

    async def passing(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the body unchanged."""
        async for chunk in body:
            if self._declared:
                self._hasher.update([chunk])
            yield chunk

    def verify(self) -> None:
        """Raise DigestMismatch unless what passed is what was declared."""
        self._hasher.verify(self._declared)


def _part_digests(segment: MultipartSegment) -> dict[Algorithm, bytes]:
    return declared_digests({name.lower(): value for name, value in segment.headerlist})


def _text(name: str, value: bytes) -> str:
    if not value:
        raise InvalidParameter(f"The field {name!r} is empty: give it a value, or leave it out.", parameter=name)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"The field {name!r} is not UTF-8.", parameter=name) from error
