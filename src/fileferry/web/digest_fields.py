"""The digests that requests declare or ask for, in HTTP's own fields: Repr-Digest, Content-Digest, Content-MD5. Verifies none."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from fileferry.engine.inspection.digests import Algorithm
from fileferry.errors import InvalidDigest

_DIGEST_BYTES: dict[str, int] = {
    Algorithm.CRC32C: 4,
    Algorithm.MD5: 16,
    Algorithm.SHA1: 20,
    Algorithm.SHA256: 32,
    Algorithm.SHA512: 64,
}
# With parameters (RFC 9651 section 3.2), of which none means anything here.
_DIGEST_MEMBER = re.compile(
    r"\s*([a-z0-9*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):(?:[ ]*;[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:\"[^\"]*\"|[^\s\",;]+))?)*\s*"
)
# A Structured Field Integer (RFC 9651 section 3.3.1) that is not 0.
_POSITIVE_WEIGHT = re.compile(r"0{0,14}[1-9][0-9]{0,14}")
_LONGEST_WANT = 1024


def declared_digests(headers: Any) -> dict[Algorithm, bytes]:
    """Return the digests of the body that its headers declare (RFC 9530 Content-Digest and Repr-Digest, RFC 1864 Content-MD5).

    Algorithms that are not known are left out unless none is known; raises InvalidDigest for those and for bad values.
    """
    found: dict[Algorithm, bytes] = {}
    for name in ("content-digest", "repr-digest"):
        if (value := headers.get(name)) is not None:
            _merge(found, _parse_digest_field(name, value))
    if (value := headers.get("content-md5")) is not None:
        _merge(found, {Algorithm.MD5: _decode_digest("content-md5", Algorithm.MD5, value.strip())})
    return found


def wanted_digests(headers: Any) -> set[Algorithm]:
    """Return the digests that ``Want-Repr-Digest`` asks for with a weight above 0 (RFC 9530 section 4), as far as known.

    It is a preference: of an absurdly long one the beginning counts.
    """
    members = headers.get("want-repr-digest", "")[:_LONGEST_WANT].split(",")
    weighed = [member.partition(";")[0].partition("=") for member in members]
    named = {name.strip() for name, _, weight in weighed if _POSITIVE_WEIGHT.fullmatch(weight.strip())}
    return {algorithm for algorithm in Algorithm if algorithm.value in named}


def _merge(found: dict[Algorithm, bytes], more: dict[Algorithm, bytes]) -> None:
    for algorithm, value in more.items():
        if found.setdefault(algorithm, value) != value:
            raise InvalidDigest(f"Two headers declare different {algorithm} digests of one body.")


def _parse_digest_field(name: str, value: str) -> dict[Algorithm, bytes]:
    members = [_DIGEST_MEMBER.fullmatch(member) for member in value.split(",")]
    if not all(members):
        raise InvalidDigest(f"{name} must look like 'sha-256=:BASE64:' (RFC 9530).")
    parsed = {
        Algorithm(member[1]): _decode_digest(name, Algorithm(member[1]), member[2])
        for member in members
        if member and member[1] in _DIGEST_BYTES
    }
    if not parsed:
        raise InvalidDigest(f"{name} names no algorithm that is verified here: {', '.join(Algorithm)}.")
    return parsed


def _decode_digest(name: str, algorithm: Algorithm, value: str) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidDigest(f"{name}: the {algorithm} digest is not base64.") from error
    if len(digest) != _DIGEST_BYTES[algorithm]:
        raise InvalidDigest(f"{name}: a {algorithm} digest has {_DIGEST_BYTES[algorithm]} bytes.")
    return digest
