"""The one error catalogue: every way fileferry says no, with its code, HTTP status, retry class and what to do.

The server raises these, each API flow renders them in its own envelope, and the client raises them again from the answer.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar


class Retry(enum.StrEnum):
    """What a caller may do with the same request after an error."""

    NEVER = "never"
    """The same request will fail again: change it or give up."""
    NOW = "now"
    """A passing fault: the same request may succeed at once."""
    AFTER = "after"
    """Wait for ``retry_after`` seconds (or back off), then repeat."""


class FerryError(Exception):
    """Base of every fileferry error.

    ``detail`` is the sentence for a person, ``fields`` are extra JSON members for a program, ``retry_after`` is in seconds,
    ``request_id`` is set where an answer carried one.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retry: ClassVar[Retry] = Retry.AFTER
    title: ClassVar[str] = "The server failed; the request may be repeated."

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after: float | None = None,
        request_id: str | None = None,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> None:
        self.detail = detail or self.title
        self.retry_after = retry_after
        self.request_id = request_id
        self.headers = headers or {}
        self.fields = fields
        super().__init__(self.detail)


class InternalError(FerryError):
    """The server failed for a reason the caller cannot see; the request id finds it in the log."""


class BadRequest(FerryError):
    """The request does not parse."""

    code, status, retry = "bad_request", 400, Retry.NEVER
    title = "The request could not be understood."


class InvalidParameter(BadRequest):
    """One named parameter or field has an unusable value."""

    code = "invalid_parameter"
    title = "A parameter has a value that cannot be used."


class InvalidExpiry(BadRequest):
    """``expires_in`` or ``expires_at`` cannot be used."""

    code = "invalid_expiry"
    title = "Give expires_in as 30m, 24h, 7d or seconds, or expires_at as an RFC 3339 time in the future; not both."


class InvalidName(BadRequest):
    """A file name or path cannot be used."""

    code = "invalid_name"
    title = "The file name or path cannot be used."


class InvalidMetadata(BadRequest):
    """``metadata`` is not a small JSON object."""

    code = "invalid_metadata"
    title = "metadata must be a JSON object within the size limit."


class MissingFile(BadRequest):
    """No file in a request that must carry one."""

    code = "missing_file"
    title = "The request carries no file: send a multipart field named 'file', or filename and base64 as JSON."


class TooManyFiles(BadRequest):
    """More than one file in a request that takes one."""

    code = "too_many_files"
    title = "One request takes one file: send one request per file."


class TruncatedBody(BadRequest):
    """The body ended before it was complete; nothing was kept."""

    code, retry = "truncated_body", Retry.NOW
    title = "The request body ended early; nothing was stored. Send it again."


class InvalidDigest(BadRequest):
    """A digest header does not parse or names no known algorithm."""

    code = "invalid_digest"
    title = (
        "A digest header cannot be read, or names no algorithm this server verifies (sha-256, sha-512, md5, crc32c)."
    )


class DigestMismatch(BadRequest):
    """The bytes received are not the bytes announced; nothing was kept."""

    code, retry = "digest_mismatch", Retry.NOW
    title = "The bytes received do not match the digest sent with them; nothing was stored. Send them again."


class SizeMismatch(BadRequest):
    """The body has another size than the ticket allows; nothing was kept."""

    code = "size_mismatch"
    title = "The body does not have the declared size; nothing was stored."


class InvalidPart(BadRequest):
    """A part of a multipart upload is missing, stale or out of order; ``part_number`` names it."""

    code = "invalid_part"
    title = "A part of the upload is missing, was replaced, or is out of order."


class InvalidBlock(BadRequest):
    """A block's id cannot be used."""

    code = "invalid_block"
    title = "A block's id must be base64 of at most 64 bytes, all of one upload equally long."


class InvalidBlockList(BadRequest):
    """A list of blocks names one that has not arrived; ``block_id`` is the first such."""

    code = "invalid_block_list"
    title = "The list names a block that has not arrived."


class TooManyPieces(BadRequest):
    """A list would make a file of more pieces than one may lie in, or of the same ones too often."""

    code = "too_many_pieces"
    title = "The file would be made of too many pieces."


class AddressTooLong(BadRequest):
    """The address of a request, its query included, is longer than ``limit`` bytes."""

    code, status = "address_too_long", 414
    title = "The address of the request is too long."


class UnknownTransferCoding(BadRequest):
    """The body comes in a ``Transfer-Encoding`` other than ``chunked``."""

    code, status = "unknown_transfer_coding", 501
    title = "Of transfer codings only chunked is known here: send the body in chunks or with its length."


class ConflictingCredentials(BadRequest):
    """More than one credential, and they disagree."""

    code = "conflicting_credentials"
    title = "The request carries more than one API key; send exactly one."


class Unauthorized(FerryError):
    """No usable credential."""

    code, status, retry = "unauthorized", 401, Retry.NEVER
    title = "The API key is missing, unknown, expired or revoked. Send it as 'Authorization: Bearer KEY'."


class PassphraseRequired(FerryError):
    """The link of a share or a request has a passphrase, and none came, or another one."""

    code, status, retry = "passphrase_required", 401, Retry.NEVER
    title = "This link has a passphrase: send it as the password of HTTP Basic authentication, with any user name."


class Forbidden(FerryError):
    """A good credential without the right to do this."""

    code, status, retry = "forbidden", 403, Retry.NEVER
    title = "This API key may not do that."


class QuotaExceeded(Forbidden):
    """What is kept already leaves no room for this file under a limit; ``limit`` names it, ``subject`` whose it is."""

    code = "quota_exceeded"
    title = "The limit on all that may be kept is reached: delete files, or have the limit raised."


class LinkRefused(FerryError):
    """A signed URL that is expired, altered or made for something else: one answer for all of them."""

    code, status, retry = "link_refused", 403, Retry.NEVER
    title = "This signed URL is not valid: it has expired, was changed, or is not for this use. Ask for a new one."


class MangledURL(FerryError):
    """A short URL that is not as it was given: cut, added to, or in other letters."""

    code, status, retry = "mangled_url", 400, Retry.NEVER
    title = (
        "This URL is not whole: something was cut off, added or changed on its way. Copy it again as it was given, or get a"
        ' fresh one by the id: POST /api/uploads/ID/urls or /api/files/ID/links with {"url_style": "short"}.'
    )


class NotFound(FerryError):
    """No such thing, or none that this key may see."""

    code, status, retry = "not_found", 404, Retry.NEVER
    title = "There is nothing with this id here, or this key may not see it."


class MethodNotAllowed(FerryError):
    """The resource exists but not for this method."""

    code, status, retry = "method_not_allowed", 405, Retry.NEVER
    title = "This address does not answer this HTTP method."


class RequestTimeout(FerryError):
    """The client stopped sending."""

    code, status, retry = "request_timeout", 408, Retry.NOW
    title = "No bytes arrived for too long; nothing was stored. Send the request again."


class Conflict(FerryError):
    """The thing is in a state that does not allow this."""

    code, status, retry = "conflict", 409, Retry.NEVER
    title = "The current state does not allow this."


class NotReady(Conflict):
    """The file is still being checked."""

    code, retry = "not_ready", Retry.AFTER
    title = "The file is still being checked; ask again."


class NotUploaded(Conflict):
    """Bytes that should be confirmed never arrived."""

    code = "not_uploaded"
    title = "The bytes of some files have not arrived: upload them, then confirm again. Nothing was confirmed."


class OffsetMismatch(Conflict):
    """Bytes were sent for another place than the next; ``expected`` is where to go on."""

    code, retry = "offset_mismatch", Retry.NOW
    title = "The bytes sent do not begin where those received so far end; ask for the offset and go on from there."


class Superseded(Conflict):
    """Another request goes on with the same upload; what this one brought so far is kept."""

    code, retry = "superseded", Retry.NOW
    title = "Another request goes on with this upload; this one was ended."


class AlreadyUploaded(Conflict):
    """A single-use upload URL was used already."""

    code = "already_uploaded"
    title = "This upload is complete and cannot be changed."


class Gone(FerryError):
    """Was here, is no longer: expired or deleted."""

    code, status, retry = "gone", 410, Retry.NEVER
    title = "This file has expired or was deleted."


class LengthRequired(FerryError):
    """The route needs a Content-Length."""

    code, status, retry = "length_required", 411, Retry.NEVER
    title = "Send the body with a Content-Length header."


class PreconditionFailed(FerryError):
    """An If-… header does not hold."""

    code, status, retry = "precondition_failed", 412, Retry.NEVER
    title = "A condition in the request headers does not hold; nothing was changed."


class FileTooLarge(FerryError):
    """Larger than the limit in force; nothing was kept."""

    code, status, retry = "file_too_large", 413, Retry.NEVER
    title = "The file is larger than the limit in force; nothing was stored."


class UnsupportedType(FerryError):
    """A media type that is not accepted here."""

    code, status, retry = "unsupported_type", 415, Retry.NEVER
    title = "This media type is not accepted here."


class RangeNotSatisfiable(FerryError):
    """The range lies outside the file."""

    code, status, retry = "range_not_satisfiable", 416, Retry.NEVER
    title = "The requested range lies outside the file."


class IdempotencyMismatch(FerryError):
    """An Idempotency-Key came again with another request."""

    code, status, retry = "idempotency_mismatch", 422, Retry.NEVER
    title = "This Idempotency-Key was used for a different request; use a new key for a new file."


class Rejected(FerryError):
    """The file came whole and was judged, and will never be served; ``reason`` says why."""

    code, status, retry = "rejected", 422, Retry.NEVER
    title = "The file was checked and rejected: it is not served."


class HeadTooLarge(FerryError):
    """The request line and headers are more than the limit in force; nothing after them was read."""

    code, status, retry = "head_too_large", 431, Retry.NEVER
    title = "The request line and headers together are larger than the limit in force."


class RateLimited(FerryError):
    """Too many requests."""

    code, status, retry = "rate_limited", 429, Retry.AFTER
    title = "Too many requests; repeat after the time in Retry-After."


class Unavailable(FerryError):
    """Shutting down, or a part the server needs is away."""

    code, status, retry = "unavailable", 503, Retry.AFTER
    title = "The server cannot take this request at the moment; repeat it shortly."


class InsufficientStorage(FerryError):
    """The disk or the store is full; nothing was kept."""

    code, status, retry = "insufficient_storage", 507, Retry.AFTER
    title = "The server has no space left; nothing was stored. Repeat when space was freed."


def _subclasses(kind: type[FerryError]) -> list[type[FerryError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _subclasses(child))]


CATALOGUE: dict[str, type[FerryError]] = {kind.code: kind for kind in _subclasses(FerryError)}
"""Every error by its code."""
