"""Digests over bytes as they pass: CRC32C always, others when they were declared or asked for."""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import google_crc32c

from fileferry.errors import DigestMismatch
from fileferry.model import Digests


class Algorithm(enum.StrEnum):
    """The digest algorithms that are verified, by their RFC 9530 names."""

    CRC32C = "crc32c"
    MD5 = "md5"
    SHA256 = "sha-256"
    SHA512 = "sha-512"


class Hasher:
    """Feeds bytes to CRC32C and to the wanted algorithms; both release the GIL for pieces over 2 KiB."""

    def __init__(self, wanted: Iterable[Algorithm] = ()) -> None:
        self._crc32c = 0
        self._others: dict[Algorithm, Any] = {
            algorithm: hashlib.new(algorithm.replace("-", ""), usedforsecurity=False)
            for algorithm in wanted
            if algorithm is not Algorithm.CRC32C
        }

    def update(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes."""
        for chunk in chunks:
            self._crc32c = google_crc32c.extend(self._crc32c, chunk)
            for other in self._others.values():
                other.update(chunk)

    def value(self, algorithm: Algorithm) -> bytes:
        """Return the digest so far; CRC32C as 4 bytes, big-endian."""
        if algorithm is Algorithm.CRC32C:
            return self._crc32c.to_bytes(4, "big")
        return bytes(self._others[algorithm].digest())

    def verify(self, declared: Mapping[Algorithm, bytes]) -> None:
        """Raise DigestMismatch, naming the algorithm but not the digest computed, unless every declared digest matches."""
        for algorithm, expected in declared.items():
            if not hmac.compare_digest(self.value(algorithm), expected):
                raise DigestMismatch(algorithm=algorithm.value)

    def digests(self) -> Digests:
        """Return what is kept of a version's digests."""
        sha256 = self.value(Algorithm.SHA256).hex() if Algorithm.SHA256 in self._others else None
        return Digests(self.value(Algorithm.CRC32C).hex(), sha256)
