"""Whether the server holds what was sent: compares its answer with what the client counted and digested."""

from __future__ import annotations

import httpx

from fileferry.client.failures import SourceChanged
from fileferry.client.nouns.files import File
from fileferry.client.transfers.sources import Sending
from fileferry.errors import DigestMismatch


def check_upload(file: File, sending: Sending, response: httpx.Response) -> None:
    """Raise DigestMismatch when the server's size or SHA-256 differs from what was sent."""
    if file.size == sending.sent and file.sha256 in {None, sending.digest}:
        return
    what_became = "is deleted" if response.status_code == httpx.codes.CREATED else f"is now version {file.version_id}"
    raise DigestMismatch(
        f"The server holds other bytes than were sent; what it holds {what_became}.",
        request_id=response.headers.get("X-Request-Id"),
        file_id=file.file_id,
        sent_sha256=sending.digest,
        held_sha256=file.sha256,
    )


def check_etag(response: httpx.Response, sending: Sending) -> str:
    """Return the MD5 that the server answered for a body, in hex; raise DigestMismatch when it is not that of what was sent."""
    etag = str(response.headers.get("ETag", "")).strip('"').lower()
    if etag != sending.digest:
        raise DigestMismatch("The server received other bytes than were sent.", sent_md5=sending.digest, held_md5=etag)
    return etag


def check_size(file: File, sent: int) -> None:
    """Raise DigestMismatch when the file has another size than was sent in all."""
    if file.size != sent:
        raise DigestMismatch(f"The file has {file.size} bytes; {sent} were sent.", file_id=file.file_id)


def check_promise(sending: Sending, sha256: str | None) -> None:
    """Raise SourceChanged when the source gave all it has, and that is not what the caller promised."""
    if sha256 is not None and sending.ended and sending.digest != sha256.lower():
        raise SourceChanged(f"The source's SHA-256 is {sending.digest}, not {sha256}; nothing was stored.")
