"""What the head of a request must be for one and the same message to be read by us and by what sits in front of us.

How long it may be, and what becomes of a connection whose client does not keep to it, is the business of ``connections``.
"""

from __future__ import annotations

from collections.abc import Sequence

from fileferry.errors import BadRequest, FerryError, UnknownTransferCoding


def fault_of(version: str, fields: Sequence[tuple[bytes, bytes]]) -> FerryError | None:
    """Return what is wrong with a head of this HTTP version whose field names are in small letters; None where nothing is.

    RFC 9112 sections 3.2 (Host), 6.1 and 6.3 (Transfer-Encoding).
    """
    if version not in ("1.0", "1.1"):
        return BadRequest("Requests are made in HTTP/1.1 here.")
    hosts = sum(name == b"host" for name, _ in fields)
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return BadRequest("A request needs one Host header.")
    codings = [
        coding.strip(b" \t").lower()
        for name, value in fields
        if name == b"transfer-encoding"
        for coding in value.split(b",")
    ]
    if not codings:
        return None
    # Before 1.1 there is no such field: who forwards the request may have read its end elsewhere.
    if version == "1.0" or any(name == b"content-length" for name, _ in fields):
        return BadRequest("The end of the request's body is told in two ways.")
    if any(coding != b"chunked" for coding in codings):
        return UnknownTransferCoding()
    return None if len(codings) == 1 else BadRequest("A body is sent in chunks once.")
