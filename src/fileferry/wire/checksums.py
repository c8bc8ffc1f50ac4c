"""Checksums of S3 clients: the ``x-amz-checksum-…`` request headers, base64 and big-endian."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from fileferry.engine.inspection.digests import Algorithm
from fileferry.errors import BadRequest, InvalidDigest
from fileferry.web.requests import AnyRequest

_PREFIX = "x-amz-checksum-"
_KNOWN = {
    "crc32": (Algorithm.CRC32, 4),
    "crc32c": (Algorithm.CRC32C, 4),
    "crc64nvme": (Algorithm.CRC64_AZURE, 8),
    "md5": (Algorithm.MD5, 16),
    "sha1": (Algorithm.SHA1, 20),
    "sha256": (Algorithm.SHA256, 32),
    "sha512": (Algorithm.SHA512, 64),
}
_COMPOSITE = re.compile(r"-[0-9]+$")
_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_NOT_DIGESTS = ("algorithm", "mode", "type")
# Where a checksum is named whose value comes elsewhere: in the trailers, in other requests, in the list of parts.
_NAMING = ("x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm", "x-amz-trailer")


class UnknownChecksum(BadRequest):
    """A checksum of a kind that is not verified here; to drop it would be to say that it was."""


def is_s3_style(request: AnyRequest) -> bool:
    """Whether a request's words are those of S3's clients, whatever it asks for."""
    names = (*request.headers.keys(), *request.query_params.keys())
    return any(name.lower().startswith(("x-amz-", "amz-sdk-")) for name in names)


def refuse_unknown(headers: Any) -> None:
    """Raise UnknownChecksum where a header names a kind of checksum that is not verified here."""
    for header in _NAMING:
        for word in headers.get(header, "").split(","):
            name = word.strip().lower()
            is_checksum = header != "x-amz-trailer" or name.startswith(_PREFIX)
            if name and is_checksum and name.removeprefix(_PREFIX) not in _KNOWN:
                raise _unknown(f"{header}: {word.strip()}")


def amz_checksums(headers: Any) -> dict[Algorithm, bytes]:
    """Return the checksums of the body that the headers declare, that of its signature included; raises as ``object_checksums``."""
    found = object_checksums(headers)
    payload = headers.get("x-amz-content-sha256", "")
    if _HEX_SHA256.fullmatch(payload):
        found.setdefault(Algorithm.SHA256, bytes.fromhex(payload))
    return found


def object_checksums(headers: Any) -> dict[Algorithm, bytes]:
    """Return the checksums that the headers declare of an object, which the body is or is the list of parts of.

    Raises InvalidDigest for one that cannot be read, UnknownChecksum for one that cannot be verified.
    """
    refuse_unknown(headers)
    found = {}
    for header, value in headers.items():
        name = header.lower().removeprefix(_PREFIX)
        if not header.lower().startswith(_PREFIX) or name in _NOT_DIGESTS:
            continue
        if name not in _KNOWN:
            raise _unknown(header)
        algorithm, size = _KNOWN[name]
        digest = _decode(header, value, size)
        # Azure has the same one, lowest byte first.
        found[algorithm] = digest[::-1] if algorithm is Algorithm.CRC64_AZURE else digest
    return found


def _unknown(named: str) -> UnknownChecksum:
    return UnknownChecksum(f"{named}: this checksum is not verified here; send one of {', '.join(_KNOWN)}.")


def _decode(header: str, value: str, size: int) -> bytes:
    if _COMPOSITE.search(value):
        raise UnknownChecksum(
            f"{header}: only checksums of bytes are verified here, not those of the parts' checksums."
        )
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidDigest(f"{header} is not base64.") from error
    if len(digest) != size:
        raise InvalidDigest(f"{header} must have {size} bytes.")
    return digest
