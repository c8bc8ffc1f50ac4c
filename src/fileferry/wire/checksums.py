"""Checksums of S3 clients: the ``x-amz-checksum-…`` request headers, base64 and big-endian."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from fileferry.engine.inspection.digests import Algorithm
from fileferry.errors import InvalidDigest

_PREFIX = "x-amz-checksum-"
_KNOWN = {
    "crc32": (Algorithm.CRC32, 4),
    "crc32c": (Algorithm.CRC32C, 4),
    "md5": (Algorithm.MD5, 16),
    "sha1": (Algorithm.SHA1, 20),
    "sha256": (Algorithm.SHA256, 32),
    "sha512": (Algorithm.SHA512, 64),
}
_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_NOT_DIGESTS = ("algorithm", "mode", "type")


def amz_checksums(headers: Any) -> dict[Algorithm, bytes]:
    """Return the checksums of the body that the headers declare; raises InvalidDigest for one that cannot be read or verified."""
    found = {}
    for header, value in headers.items():
        name = header.lower().removeprefix(_PREFIX)
        if not header.lower().startswith(_PREFIX) or name in _NOT_DIGESTS:
            continue
        if name not in _KNOWN:
            raise InvalidDigest(f"{header}: this checksum is not verified here; send one of {', '.join(_KNOWN)}.")
        algorithm, size = _KNOWN[name]
        found[algorithm] = _decode(header, value, size)
    payload = headers.get("x-amz-content-sha256", "")
    if _HEX_SHA256.fullmatch(payload):
        found.setdefault(Algorithm.SHA256, bytes.fromhex(payload))
    return found


def _decode(header: str, value: str, size: int) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidDigest(f"{header} is not base64.") from error
    if len(digest) != size:
        raise InvalidDigest(f"{header} must have {size} bytes.")
    return digest
