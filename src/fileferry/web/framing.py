"""Bodies that are not the bytes of a file but hold some of them, or hold them in a frame: known by their headers or their first
bytes, and refused, as they would be stored as the file. Where a form is unwrapped is the business of whoever takes forms.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from fileferry.errors import BadRequest, InvalidParameter, UnsupportedType
from fileferry.model import Upload
from fileferry.web.requests import AnyRequest, body_of

_USE_TICKETS = (
    "To send a file in pieces, ask for a ticket and use tus, S3 parts or a resumable session on its signed URL."
)
# The marks of requests that bring no file, or not all of it, in protocols that are spoken at other addresses.
_SESSION_FIELDS = ("tus-resumable", "upload-offset", "x-goog-resumable")
_UNFINISHED = {"upload-complete": "?0", "upload-incomplete": "?1"}
_DIGESTS = ("content-digest", "repr-digest", "content-md5", "want-repr-digest")
# The headers of the first part of a form end within this; text that begins with two dashes is held as long.
_LARGEST_HEAD = 4096
_FORM = re.compile(
    rb"(?:\r?\n)?--[^\r\n]{1,200}\r?\n(?:[^\r\n]+\r?\n){0,20}?content-disposition:[ \t]*form-data", re.IGNORECASE
)
_BLANK_LINE = re.compile(rb"\S[ \t]*\r?\n\r?\n")


def refuse_framed(headers: Any) -> None:
    """Raise UnsupportedType for a body in signed or trailing chunks (``aws-chunked``), which some clients announce only thus."""
    streaming = headers.get("x-amz-content-sha256", "").upper().startswith("STREAMING-")
    if streaming or "x-amz-trailer" in headers or "x-amz-decoded-content-length" in headers:
        raise UnsupportedType("Send the body as it is: its aws-chunked framing would be stored with it.")


def refuse_range(headers: Any) -> None:
    """Raise InvalidParameter for a body that is a range of another one (RFC 9110 sections 9.3.4 and 14.5)."""
    if "content-range" in headers:
        raise InvalidParameter(
            f"This address takes whole bodies, without Content-Range. {_USE_TICKETS}", parameter="Content-Range"
        )


def refuse_piece(headers: Any) -> None:
    """Raise InvalidParameter, UnsupportedType or BadRequest for what is no whole file, at an address that speaks no protocol."""
    refuse_framed(headers)
    refuse_range(headers)
    named = [name for name in _SESSION_FIELDS if name in headers]
    named += [name for name, value in _UNFINISHED.items() if headers.get(name, "").strip() == value]
    if named:
        raise BadRequest(f"This address takes whole bodies, and {named[0]} tells of something else. {_USE_TICKETS}")


async def file_bytes(
    request: AnyRequest, idle: timedelta, upload: Upload | None = None, content_type: str | None = None
) -> AsyncIterator[bytes]:
    """Yield a body that is a file or a piece of one, as ``body_of`` does; raises UnsupportedType for a form.

    ``content_type`` is the file's, where a protocol says it apart from the body's.
    """
    body = body_of(request, idle)
    if _is_meant(request, upload, content_type):
        async for chunk in body:
            yield chunk
        return
    head: bytes | None = b""
    async for chunk in body:
        if head is None:
            yield chunk
            continue
        head += chunk
        if _may_begin_form(head):
            continue
        refuse_form(head)
        yield head
        head = None
    if head:
        refuse_form(head)
        yield head


def refuse_form(head: bytes) -> None:
    """Raise UnsupportedType for a body that begins as a form does."""
    if _FORM.match(head):
        raise UnsupportedType(
            "The body is a form, which would be stored around the file. Send the file's bytes alone, or the form to POST /v1/files "
            "or to a signed URL, with the Content-Type that its library gives it. If the form is meant, send its Content-Digest."
        )


def is_multipart(content_type: str | None) -> bool:
    """Whether a media type is that of a document of several parts."""
    return (content_type or "").strip().lower().startswith("multipart/")


def _is_meant(request: AnyRequest, upload: Upload | None, content_type: str | None) -> bool:
    """Whether a form would be the file itself: its type or its size was promised, or somebody knows or asks for its digest."""
    promised = None if upload is None else upload.content_type
    has_size = upload is not None and upload.promised_size is not None
    return is_multipart(promised or content_type) or has_size or any(name in request.headers for name in _DIGESTS)


def _may_begin_form(head: bytes) -> bool:
    """Whether more must be read to know whether a body is a form."""
    start = head[:4].lstrip(b"\r\n")[:2]
    is_dashed = b"--".startswith(start)
    return is_dashed and len(head) < _LARGEST_HEAD and _BLANK_LINE.search(head) is None
