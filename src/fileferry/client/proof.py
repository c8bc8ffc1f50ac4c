"""Whether the server holds what was sent: compares its answer with what the client counted and digested."""

from __future__ import annotations

import httpx

from fileferry.client.nouns import File
from fileferry.client.sources import Sending
from fileferry.errors import DigestMismatch


def check_upload(file: File, sending: Sending, response: httpx.Response) -> None:
    """Raise DigestMismatch when the server's size or SHA-256 differs from what was sent."""
    if file.size == sending.sent and file.sha256 in {None, sending.sha256}:
        return
    what_became = "is deleted" if response.status_code == httpx.codes.CREATED else f"is now version {file.version_id}"
    raise DigestMismatch(
        f"The server holds other bytes than were sent; what it holds {what_became}.",
        request_id=response.headers.get("X-Request-Id"),
        file_id=file.file_id,
        sent_sha256=sending.sha256,
        held_sha256=file.sha256,
    )
