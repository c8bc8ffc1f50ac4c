"""Resumable Uploads for HTTP on a signed URL: create, ask for the offset, append, cancel. The URL itself is the upload resource.

Source: draft-ietf-httpbis-resumable-upload, and ``interop`` for what its versions differ in. Interim 104 answers are not sent:
they are optional, and ASGI has no way to.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm, Hasher, agreed
from fileferry.engine.receiving.completion import ReceivedBytes
from fileferry.errors import (
    AlreadyUploaded,
    BadRequest,
    FerryError,
    FileTooLarge,
    InvalidMetadata,
    OffsetMismatch,
    RateLimited,
    RequestTimeout,
    SizeMismatch,
    UnsupportedType,
)
from fileferry.model import Upload, UploadState
from fileferry.web import problems, tus
from fileferry.web.digest_fields import declared_digests, wanted_digests
from fileferry.web.framing import file_bytes, refuse_framed, refuse_range
from fileferry.web.requests import AnyRequest, content_length, is_by_ticket, refuse_encoded, session_url
from fileferry.wire import interop, plain, stated_types
from fileferry.wire.interop import Dialect

_FIELDS = ("upload-complete", "upload-incomplete", "upload-draft-interop-version")
_ASKED_BARE = ("upload-offset", "upload-complete", "upload-incomplete", "upload-length")
_PROBLEM_TYPE = "https://iana.org/assignments/http-problem-types#"
_PROBLEMS = {"offset_mismatch": "mismatching-upload-offset", "size_mismatch": "inconsistent-upload-length"}
_OVERRIDE = "x-http-method-override"
# What `Upload.wire` holds of an upload whose client has sent, or is sending, the last of its bytes.
_IS_LAST = "is_last"


def is_spoken(request: AnyRequest) -> bool:
    """Whether one of the draft's fields came, or its media type; or a HEAD, which in the coming RFC has no mark."""
    is_marked = any(name in request.headers for name in _FIELDS) or _media_type(request) == interop.MEDIA_TYPE
    return is_marked or request.method == "HEAD"


async def handle(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Answer one request of the draft; one that only names its version is a plain one."""
    dialect = interop.dialect_of(request.headers)
    exchange = _Exchange(request, engine, upload, dialect)
    try:
        answer = await exchange.answer()
    except FileTooLarge as error:
        error.headers = {**error.headers, **exchange.limits()}
        raise
    answer.headers.update({**dialect.echo(), "Cache-Control": "no-store"})
    return answer


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with problem+json, of the draft's problem types where it has one, and with its fields."""
    dialect = interop.dialect_of(request.headers)
    failure = problems.known(error)
    # Its clients go on after a 5xx by themselves, and after a 4xx only when they are told to.
    answer = problems.answer(failure, 503 if isinstance(failure, RateLimited | RequestTimeout) else None)
    for name, value in {**dialect.echo(), **dialect.completeness(False), "Cache-Control": "no-store"}.items():
        answer.headers.setdefault(name, value)
    if isinstance(error, OffsetMismatch):
        expected, provided = error.fields["expected"], error.fields["provided"]
        answer.headers["Upload-Offset"] = str(expected)
        _amend(answer, {"expected-offset": expected, "provided-offset": provided})
    if isinstance(error, FerryError) and error.code in _PROBLEMS:
        _amend(answer, {"type": _PROBLEM_TYPE + _PROBLEMS[error.code]})
    if isinstance(error, AlreadyUploaded) and dialect.refuses_completed:
        answer.status_code = 400
        _amend(answer, {"type": _PROBLEM_TYPE + "completed-upload", "status": 400})
    return answer


def limits_of_server(engine: Engine) -> dict[str, str]:
    """Return what OPTIONS tells of every upload URL: the largest size (bytes) that any of them takes."""
    return {"Upload-Limit": f"max-size={engine.settings.max_file_size}"}


class _Exchange:
    """One request, and the upload as it comes to stand by it."""

    def __init__(self, request: AnyRequest, engine: Engine, upload: Upload, dialect: Dialect) -> None:
        self._request = request
        self._headers = request.headers
        self._engine = engine
        self._upload = upload
        self._dialect = dialect

    async def answer(self) -> Response[Any]:
        """Do what the request asks for."""
        method = self._headers.get(_OVERRIDE, "").upper() if self._request.method == "POST" else ""
        method = method or self._request.method
        if method in ("HEAD", "GET", "DELETE"):
            self._refuse_fields()
            return await (self._cancel() if method == "DELETE" else self._tell_offset())
        if method == "PATCH" or "upload-offset" in self._headers:
            return await self._append()
        is_complete = self._dialect.read_completeness(self._headers)
        if is_complete is not None:
            return await self._create(is_complete)
        if _media_type(self._request) == interop.MEDIA_TYPE:
            raise BadRequest(f"A body of type {interop.MEDIA_TYPE} needs {self._dialect.field}.")
        return await plain.handle(self._request, self._engine, self._upload)

    def limits(self) -> dict[str, str]:
        """Return the limits to announce; the resource lives as long as the URL that was used."""
        until = self._engine.tickets.end_of(self._upload, self._request.state.grant)
        return self._limits((until - self._engine.clock()).total_seconds())

    def _limits(self, lifetime: float) -> dict[str, str]:
        return self._dialect.limits(self._upload.max_size, max(0, int(lifetime)))

    async def _create(self, is_complete: bool) -> Response[Any]:
        refuse_encoded(self._request)
        refuse_framed(self._headers)
        refuse_range(self._headers)
        stated_type = self._stated_type()
        stated_types.refuse_other(stated_type, self._upload)
        announced = content_length(self._request)
        # A length that was told before goes with what is begun anew; only the ticket's stays.
        size = self._length(0, is_complete, announced, self._upload.promised_size)
        declared, whole = self._content_digests(), self._repr_digests()
        if is_complete:
            # The digest of all there is: nothing of it is lost when the connection is, as it would be with that of a piece.
            declared, whole = {}, agreed(declared, whole)
        if is_complete and self._upload.state is UploadState.COMPLETED:
            return self._final(await self._take_again(whole, announced))
        wire = {
            "content_type": stated_type,
            "repr_digest": {algorithm.value: digest.hex() for algorithm, digest in whole.items()},
            "want_repr_digest": sorted(wanted_digests(self._headers)),
            _IS_LAST: is_complete,
        }
        self._upload = await self._engine.streams.begin(
            self._upload, size=size, wire=wire, renews=is_by_ticket(self._request)
        )
        rest = self._engine.tickets.session_end(self._upload) - self._engine.clock()
        created = {
            "Location": session_url(self._request, self._engine, self._upload),
            **self._limits(rest.total_seconds()),
        }
        await self._take(0, announced, declared)
        # Some clients take an empty file for done once it is created; the server may complete an upload by itself.
        if is_complete or size == 0:
            answer = await self._complete()
        else:
            answer = self._progress(201)
        answer.headers.update(created)
        return answer

    async def _append(self) -> Response[Any]:
        if self._dialect.has_media_type and _media_type(self._request) != interop.MEDIA_TYPE:
            accepted = {"Accept-Patch": interop.MEDIA_TYPE}
            raise UnsupportedType(f"What is appended must be of type {interop.MEDIA_TYPE}.", headers=accepted)
        offset = interop.read_integer(self._headers, "Upload-Offset")
        if offset is None:
            raise BadRequest("Upload-Offset must say where the bytes belong, as a whole number.")
        is_complete = self._dialect.read_completeness(self._headers)
        if is_complete is None and not self._dialect.defaults_to_complete:
            raise BadRequest("Upload-Complete must say whether these bytes are the last: ?1 or ?0.")
        is_complete = is_complete is not False
        announced = content_length(self._request)
        self._upload = await self._engine.streams.status(self._upload)
        if self._upload.state is not UploadState.OPEN:
            return await self._repeat(offset, is_complete, announced)
        if offset != self._upload.offset:
            raise OffsetMismatch(expected=self._upload.offset, provided=offset)
        size = self._length(offset, is_complete, announced, self._upload.size)
        if size is not None:
            self._upload = await self._engine.streams.set_size(self._upload, size)
        if is_complete and self._upload.size is not None:
            # Should the process die between the last byte and its answer, a HEAD completes what the client takes for complete.
            self._upload = await self._engine.streams.note(self._upload, **{_IS_LAST: True})
        await self._take(offset, announced, self._content_digests())
        if is_complete:
            return await self._complete()
        return self._progress(self._dialect.append_status)

    async def _tell_offset(self) -> Response[Any]:
        self._upload = await self._engine.streams.status(self._upload)
        is_open = self._upload.state is UploadState.OPEN
        if is_open and self._upload.wire.get(_IS_LAST) and self._upload.offset == self._upload.size:
            await self._complete()
            self._upload = await self._engine.streams.status(self._upload)
        if self._upload.state is UploadState.OPEN:
            answer = self._progress(204)
        else:
            received = await self._received()
            told = {"Upload-Offset": str(received.size), "Upload-Length": str(received.size)}
            answer = Response(None, status_code=204, headers={**told, **self._dialect.completeness(True)})
        if self._upload.size is not None:
            answer.headers["Upload-Length"] = str(self._upload.size)
        answer.headers.update(self.limits())
        return answer

    async def _cancel(self) -> Response[Any]:
        await self._engine.tickets.abort(await self._engine.streams.status(self._upload))
        return Response(None, status_code=204)

    def _stated_type(self) -> str | None:
        """Return what is said of the file's type: with its bytes, or as tus-js-client says it in this protocol as well."""
        if _media_type(self._request) not in ("", interop.MEDIA_TYPE):
            return self._headers.get("content-type")
        try:
            return tus.stated_type(self._headers.get("upload-metadata"))
        except InvalidMetadata:
            return None  # no field of the draft's

    def _refuse_fields(self) -> None:
        if self._dialect.has_bare_questions and any(name in self._headers for name in _ASKED_BARE):
            raise BadRequest("This request may carry no field of the upload but its version.")

    def _length(self, offset: int, is_complete: bool, announced: int | None, fixed: int | None) -> int | None:
        """Return the length of the whole where the request tells it; raises SizeMismatch for contradictions, also to ``fixed``."""
        stated = interop.read_integer(self._headers, "Upload-Length")
        implied = offset + announced if is_complete and announced is not None else None
        if stated is not None and implied not in (None, stated):
            raise SizeMismatch(f"Upload-Length says {stated} bytes, and all bytes together are {implied}.")
        known = next((size for size in (stated, implied, fixed) if size is not None), None)
        if known is not None and announced is not None and offset + announced > known:
            raise SizeMismatch(f"The upload has {known} bytes, and these are more.", expected=known)
        return stated if stated is not None else implied

    def _content_digests(self) -> dict[Algorithm, bytes]:
        return self._digests("content-digest", "content-md5")

    def _repr_digests(self) -> dict[Algorithm, bytes]:
        return self._digests("repr-digest")

    def _digests(self, *names: str) -> dict[Algorithm, bytes]:
        return declared_digests({name: self._headers[name] for name in names if name in self._headers})

    async def _take(self, offset: int, announced: int | None, declared: Mapping[Algorithm, bytes]) -> None:
        if announced == 0 and not declared:
            return
        arrival = await self._engine.streams.append(self._upload, offset, declared=declared, announced=announced)
        try:
            async with arrival:
                await arrival.take(self._body())
                self._upload = await arrival.finish()
        except FileTooLarge as error:
            # What was cut off at the limit must not be completed as if it were all.
            await self._engine.tickets.abort(self._upload)
            if self._upload.size is None:
                raise
            expected = self._upload.size
            raise SizeMismatch(f"More than {expected} bytes came; the upload was ended.", expected=expected) from error

    def _progress(self, status: int) -> Response[Any]:
        headers = {"Upload-Offset": str(self._upload.offset), **self._dialect.completeness(False), **self.limits()}
        return Response(None if status == 204 else b"", status_code=status, headers=headers)

    async def _complete(self) -> Response[Any]:
        promised = self._upload.wire.get("repr_digest", {})
        at_creation = {Algorithm(name): bytes.fromhex(digest) for name, digest in promised.items()}
        content_type = self._upload.wire.get("content_type")
        try:
            declared = agreed(at_creation, self._repr_digests())
            received = await self._engine.streams.complete(self._upload, declared=declared, content_type=content_type)
        except SizeMismatch:
            raise
        except FerryError as error:
            # Everything has arrived, and it was refused for what it is: to resume would not mend that.
            if error.status < 500:
                error.headers = {**self._dialect.completeness(True), **error.headers}
            raise
        return self._final(received)

    async def _repeat(self, offset: int, is_complete: bool, announced: int | None) -> Response[Any]:
        """Answer the last append once more to a client that did not get the answer; raises AlreadyUploaded for any other."""
        received = await self._received()
        refusal = AlreadyUploaded(headers={"Upload-Offset": str(received.size)})
        if not is_complete or (announced is not None and offset + announced != received.size):
            raise refusal
        declared = self._content_digests()
        hasher = Hasher(declared)
        end = offset
        async for chunk in self._body():
            end += len(chunk)
            if end > received.size:
                raise refusal
            hasher.update([chunk])
        if end != received.size:
            raise refusal
        hasher.verify(declared)
        return self._final(received)

    async def _take_again(self, declared: Mapping[Algorithm, bytes], announced: int | None) -> ReceivedBytes:
        async with await self._engine.arrivals.whole(self._upload, declared, announced) as arrival:
            async for chunk in self._body():
                await arrival.write(chunk)
            return await arrival.finish()

    def _body(self) -> AsyncIterator[bytes]:
        return file_bytes(self._request, self._engine.settings.body_idle_timeout, self._upload)

    async def _received(self) -> ReceivedBytes:
        known = await self._engine.tickets.received(self._upload)
        # What a process left behind that died before it could put the bytes together.
        return known or await self._engine.streams.complete(self._upload)

    def _final(self, received: ReceivedBytes) -> Response[Any]:
        """Return what a plain PUT of all bytes would have got."""
        digests = received.digests
        wanted = wanted_digests(self._headers) | set(self._upload.wire.get("want_repr_digest", ()))
        known = {Algorithm.SHA256: digests.sha256, Algorithm.MD5: digests.md5, Algorithm.CRC32C: digests.crc32c}
        told = [_digest_member(name, digest) for name, digest in known.items() if name in wanted and digest]
        answer = plain.final_answer(self._request, self._engine, self._upload, received)
        answer.headers.update({"Upload-Offset": str(received.size), **self._dialect.completeness(True)})
        if told:
            answer.headers["Repr-Digest"] = ", ".join(told)
        return answer


def _media_type(request: AnyRequest) -> str:
    return str(request.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _digest_member(algorithm: Algorithm, digest: str) -> str:
    return f"{algorithm.value}=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def _amend(answer: Response[bytes], members: dict[str, Any]) -> None:
    answer.content = msgspec.json.encode({**msgspec.json.decode(answer.content), **members})
