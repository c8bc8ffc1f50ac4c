"""Digests over bytes as they pass: CRC32C always, others when they were declared or asked for."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import hmac
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import anycrc
import google_crc32c

from fileferry.errors import DigestMismatch
from fileferry.model import Digests


class Algorithm(enum.StrEnum):
    """The digest algorithms that are verified, by their RFC 9530 names where they have one."""

    CRC32 = "crc32"
    CRC32C = "crc32c"
    MD5 = "md5"
    SHA1 = "sha"
    SHA256 = "sha-256"
    SHA512 = "sha-512"
    CRC64_AZURE = "x-ms-crc64"
    """Azure's CRC-64 (that of NVMe), as 8 bytes, little-endian."""


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, chunk: bytes) -> None:
        self._value = zlib.crc32(chunk, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class _Crc64:
    _MODEL = anycrc.Model("CRC64-NVME")

    def __init__(self) -> None:
        self._value = 0

    def update(self, chunk: bytes) -> None:
        self._value = self._MODEL.calc(chunk, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(8, "little")


_FACTORIES: dict[Algorithm, Callable[[], Any]] = {
    Algorithm.CRC32: _Crc32,
    Algorithm.CRC64_AZURE: _Crc64,
    Algorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
    Algorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
    Algorithm.SHA256: hashlib.sha256,
    Algorithm.SHA512: hashlib.sha512,
}


class Hasher:
    """Feeds bytes to CRC32C and to the wanted algorithms; both release the GIL for pieces over 2 KiB.

    A SHA-256 that nobody wanted is given up once there are more than ``sha256_up_to`` bytes: it costs ten times a CRC32C.
    """

    def __init__(self, wanted: Iterable[Algorithm] = (), sha256_up_to: int = 0) -> None:
        wanted = set(wanted)
        self._crc32c = 0
        self._sha256_room = sha256_up_to if sha256_up_to and Algorithm.SHA256 not in wanted else None
        if self._sha256_room is not None:
            wanted.add(Algorithm.SHA256)
        self._others: dict[Algorithm, Any] = {
            algorithm: _FACTORIES[algorithm]() for algorithm in wanted if algorithm is not Algorithm.CRC32C
        }

    def update(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes."""
        for chunk in chunks:
            self._crc32c = google_crc32c.extend(self._crc32c, chunk)
            if self._sha256_room is not None:
                self._spend_room(len(chunk))
            for other in self._others.values():
                other.update(chunk)

    async def take(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes, in another thread where they take long, so that the loop goes on."""
        if self.is_light:
            self.update(chunks)
        else:
            await asyncio.to_thread(self.update, chunks)

    @property
    def is_light(self) -> bool:
        """Whether only the CRC32C is computed, which is faster than handing the bytes to another thread."""
        return not self._others

    def _spend_room(self, size: int) -> None:
        self._sha256_room = (self._sha256_room or 0) - size
        if self._sha256_room < 0:
            del self._others[Algorithm.SHA256]
            self._sha256_room = None

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
        known = {name: self.value(name).hex() for name in (Algorithm.SHA256, Algorithm.MD5) if name in self._others}
        return Digests(self.value(Algorithm.CRC32C).hex(), known.get(Algorithm.SHA256), known.get(Algorithm.MD5))


def agreed(*declarations: Mapping[Algorithm, bytes]) -> dict[Algorithm, bytes]:
    """Return all that was declared of the same bytes; raises DigestMismatch where two declarations contradict each other."""
    found: dict[Algorithm, bytes] = {}
    for declared in declarations:
        for algorithm, value in declared.items():
            if found.setdefault(algorithm, value) != value:
                raise DigestMismatch(f"Two different {algorithm} digests were declared of the same bytes.")
    return found


def combine_crc32c(first: int, second: int, second_size: int) -> int:
    """Return the CRC32C of two runs of bytes one after the other, from those of each; sizes in bytes, no byte is read."""
    return int(_CRC32C.combine(first, second, second_size))


_CRC32C = anycrc.Model("CRC32C")
